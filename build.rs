//! Tells the program when it was built, before which a wall clock is implausible, and how it is linked to be small.

use std::time::{SystemTime, UNIX_EPOCH};

#[allow(clippy::disallowed_methods, reason = "a build has no clock.rs")]
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    link_small();
    let told = std::env::var("SOURCE_DATE_EPOCH").ok();
    let epoch = told.and_then(|t| t.parse().ok()).unwrap_or_else(|| {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    });
    println!("cargo:rustc-env=UPGRADE_GATE_BUILD_EPOCH={epoch}");
}

/// Relative relocations take a twentieth of the room and stay out of memory; the script says what it does.
fn link_small() {
    println!("cargo:rerun-if-changed=src/apart.ld");
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{folder}/src/apart.ld");
}
