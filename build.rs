//! Tells the program when it was built, before which a wall clock is implausible, and the linker what to leave out.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

#[allow(clippy::disallowed_methods, reason = "a build has no clock.rs")]
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let told = std::env::var("SOURCE_DATE_EPOCH").ok();
    let epoch = told.and_then(|t| t.parse().ok()).unwrap_or_else(|| {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    });
    println!("cargo:rustc-env=UPGRADE_GATE_BUILD_EPOCH={epoch}");
    leave_out_unwinding();
}

/// With panic=abort nothing is ever unwound, and the tables for it are an eighth of the program.
///
/// A script is how GNU ld and lld both can be told; linkers that take no script are left alone.
fn leave_out_unwinding() {
    let told = |name: &str| std::env::var(name).unwrap_or_default();
    let flags = told("CARGO_ENCODED_RUSTFLAGS");
    // a folder's name is no linker
    let flags = flags
        .split('\u{1f}')
        .filter(|flag| !flag.starts_with("--remap-path-prefix="));
    let chosen = flags.collect::<String>() + &told("RUSTC_LINKER");
    let takes_no_script = ["mold", "gold", "wild"].iter().any(|l| chosen.contains(l));
    if told("PROFILE") != "release" || takes_no_script {
        return;
    }
    let script = Path::new(&told("OUT_DIR")).join("no-unwinding.ld");
    if std::fs::write(&script, NO_UNWINDING).is_ok() {
        println!("cargo:rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", script.display());
    }
}

/// `INSERT` keeps the linker's own script.
const NO_UNWINDING: &str = "SECTIONS {
    /DISCARD/ : { *(.eh_frame .eh_frame.* .gcc_except_table .gcc_except_table.*) }
} INSERT AFTER .text;
";
