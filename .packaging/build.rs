//! Leaves the unwind tables out of a program that never unwinds.
//!
//! The release profile aborts on a panic, but the compiler writes tables for unwinding all the same, an eighth of the program.
//! Their one reader is the backtrace of a panic, which shows no names in a stripped program. The message of the panic, with its
//! file and line, needs no table. The development profile, whose program has names, keeps them.

use std::path::Path;
use std::{env, fs};

/// A script beside the own one of the linker. GNU ld and LLD take it.
const SCRIPT: &str = "SECTIONS { /DISCARD/ : { *(.eh_frame .eh_frame_hdr .gcc_except_table*) } } INSERT AFTER .text;\n";

fn main() {
    println!("cargo::rerun-if-changed=.packaging/build.rs");
    let is = |variable, value| env::var(variable).is_ok_and(|found| found == value);
    if !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_OS", "linux") {
        return;
    }
    let folder = env::var_os("OUT_DIR").expect("cargo names the folder");
    let script = Path::new(&folder).join("no-unwind-tables.ld");
    fs::write(&script, SCRIPT).expect("the folder of the build can be written");
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
}
