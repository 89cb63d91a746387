//! Makes the release program smaller by what the linker can do about it.
//!
//! **Unwind tables** are left out, for the program never unwinds.
//! The release profile aborts on a panic, but the compiler writes tables for unwinding all the same, an eighth of the program.
//! Their one reader is the backtrace of a panic, which shows no names in a stripped program. The message of the panic, with its
//! file and line, needs no table. The development profile, whose program has names, keeps them.
//!
//! **Relocations** are packed (`DT_RELR`), which takes 25 kB off. The loader of glibc reads them from 2.36 on, so a program that is
//! built beside an older one has them as before.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// A script beside the own one of the linker. GNU ld and LLD take it.
const SCRIPT: &str = "SECTIONS { /DISCARD/ : { *(.eh_frame .eh_frame_hdr .gcc_except_table*) } } INSERT AFTER .text;\n";

/// The first glibc whose loader reads packed relocations.
const PACKED_SINCE: (u32, u32) = (2, 36);

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
    let is_native = env::var("HOST") == env::var("TARGET");
    if is_native && is("CARGO_CFG_TARGET_ENV", "gnu") && glibc().is_some_and(|version| version >= PACKED_SINCE) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of this machine's glibc, from a line such as `glibc 2.36`.
fn glibc() -> Option<(u32, u32)> {
    let answer = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let (major, minor) = str::from_utf8(&answer.stdout).ok()?.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
