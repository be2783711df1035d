//! Does the package do what it says under a real systemd?
//!
//! In a container of `systemd-nspawn`, by `tests/deploy/booted`. Not with the other tests: that takes root, a kernel that lets a
//! container boot, and a package that no other test needs installed.

use std::process::Command;

use super::package::Package;
use super::{root, written};

#[test]
#[ignore = "needs root and systemd-nspawn: cargo nextest run --run-ignored only -E 'binary(deploy)'"]
fn the_package_does_under_a_real_systemd_what_it_says() {
    let package = Package::make();
    let output = Command::new(root().join("tests/deploy/booted"))
        .arg(package.name())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", written(&output));
    assert!(written(&output).lines().count() >= 9, "{}", written(&output));
}
