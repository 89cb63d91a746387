//! Programs of others, run to their end.

use std::process::{Command, Output, Stdio};

use crate::lossy;

/// Runs a tool; its output, or why it failed.
///
/// # Errors
/// One line that names the tool: it could not be started, or its exit status is not 0.
pub fn output(tool: &str, args: &[&str]) -> Result<String, String> {
    let Output { status, stdout, stderr } =
        Command::new(tool).args(args).stdin(Stdio::null()).output().map_err(|error| format!("{tool}: {error}"))?;
    if status.success() { Ok(lossy(&stdout)) } else { Err(format!("{tool} {args:?}: {}", lossy(&stderr))) }
}

/// Runs a tool that must succeed; its output.
#[track_caller]
pub fn run(tool: &str, args: &[&str]) -> String {
    output(tool, args).unwrap_or_else(|error| panic!("{error}"))
}
