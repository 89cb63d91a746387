//! What the licenses ask for: the notices of the program and of all that is linked into it.
//!
//! Owns the form (Debian's machine-readable copyright file, version 1.0). Which crates are linked, cargo says; each has its
//! license beside its source. Where a crate leaves the choice, the MIT license is chosen.
//!
//! Invariant: a crate without a notice is an error, and not left out.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

/// What names a file of a license begins with.
const FILES: [&str; 3] = ["license", "copying", "unlicense"];

/// The text of the file for the program whose `Cargo.toml` this is.
pub(crate) fn copyright(manifest: &Path) -> Result<String, String> {
    let platform = format!("--filter-platform={}-unknown-linux-gnu", env::consts::ARCH);
    let metadata =
        MetadataCommand::new().manifest_path(manifest).other_options(["--locked".to_owned(), platform]).exec();
    let metadata = metadata.map_err(|error| error.to_string())?;
    let root = metadata.root_package().ok_or("the folder has no package of its own")?;
    let source = root.repository.as_deref().ok_or("Cargo.toml has no repository")?;
    let mut text = format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
         Upstream-Name: {}\nSource: {source}\n\
         Comment: The program has these crates and the standard library of Rust in it. Their sources are in vendor/ after\n \
         cargo vendor --versioned-dirs. The standard library may be used under the MIT license, too.\n",
        root.name
    );
    push_notice(&mut text, "*", root)?;
    for id in linked(&metadata, &root.id) {
        let package = &metadata[id];
        push_notice(&mut text, &format!("vendor/{}-{}/*", package.name, package.version), package)?;
    }
    Ok(text)
}

/// The crates that are linked into a program on this machine, without itself.
fn linked<'a>(metadata: &'a Metadata, root: &'a PackageId) -> BTreeSet<&'a PackageId> {
    let nodes = metadata.resolve.as_ref().map_or(&[][..], |resolve| &resolve.nodes);
    let (mut found, mut open) = (BTreeSet::new(), vec![root]);
    while let Some(id) = open.pop() {
        let dependencies = nodes.iter().filter(|node| node.id == *id).flat_map(|node| &node.deps);
        let is_linked = |kind: &DependencyKind| *kind == DependencyKind::Normal;
        let normal = dependencies.filter(|dependency| dependency.dep_kinds.iter().any(|info| is_linked(&info.kind)));
        open.extend(normal.map(|dependency| &dependency.pkg).filter(|id| found.insert(*id)));
    }
    found
}

fn push_notice(text: &mut String, files: &str, package: &Package) -> Result<(), String> {
    let path = license_of(package).ok_or_else(|| format!("{} has no license beside its source", package.name))?;
    let license = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let owners: Vec<&str> = license.lines().map(str::trim).filter(|line| line.starts_with("Copyright")).collect();
    let authors = format!("the authors of {}", package.name);
    let owners = if owners.is_empty() { vec![&*authors] } else { owners };
    let _ = write!(text, "\nFiles: {files}\nCopyright: {}\nLicense: {}\n", owners.join("\n "), package.name);
    for line in license.lines().map(str::trim_end) {
        let _ = writeln!(text, " {}", if line.is_empty() { "." } else { line });
    }
    Ok(())
}

/// The file of the MIT license, or the first one that there is.
fn license_of(package: &Package) -> Option<PathBuf> {
    let folder = package.manifest_path.parent()?;
    let files = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let mut licenses: Vec<PathBuf> =
        files.filter(|path| FILES.iter().any(|begin| name(path).starts_with(begin))).collect();
    licenses.sort_by_key(|path| (!name(path).contains("mit"), name(path)));
    licenses.into_iter().next()
}
