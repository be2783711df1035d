//! Is the Debian package whole, and does what is in it run?
//!
//! A package of the program as built for tests, unpacked below a directory of the test's own: nothing is installed.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use switchback::lab::Directory;

use super::{PROGRAM, deploy, root, written};

fn run(program: &str, words: &[&str]) -> Output {
    let output = Command::new(program).args(words).output();
    output.unwrap_or_else(|error| panic!("{program}: {error}"))
}

fn said(program: &str, words: &[&str]) -> String {
    let output = run(program, words);
    assert!(
        output.status.success(),
        "{program} {words:?}: {}",
        written(&output)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn build(words: &[&str]) -> Output {
    let output = Command::new(deploy("debian/build"))
        .args(words)
        // It is to be made soon, not small.
        .env("DEB_BUILD_LEVEL", "1")
        .output();
    output.expect("deploy/debian/build")
}

/// The package, and where it is unpacked.
pub(crate) struct Package {
    directory: Directory,
    file: PathBuf,
}

impl Package {
    pub(crate) fn make() -> Self {
        let directory = Directory::create("package").unwrap();
        let place = directory.path().display().to_string();
        let output = build(&[PROGRAM, place.as_str()]);
        assert!(output.status.success(), "{}", written(&output));
        let file = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
        let package = Self { directory, file };
        said("dpkg-deb", &["-x", package.name(), &package.at("")]);
        package
    }

    pub(crate) fn name(&self) -> &str {
        self.file.to_str().unwrap()
    }

    /// Where a file of it is unpacked.
    fn at(&self, path: &str) -> String {
        format!("{}/root{path}", self.directory.path().display())
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

#[test]
fn the_package_has_what_it_is_to_have_and_its_program_runs() {
    let package = Package::make();
    let name = package.name();
    let control = |field: &str| said("dpkg-deb", &["--field", name, field]).trim().to_owned();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(control("Version"), format!("{version}-1"));
    assert!(
        control("Depends").contains("libc6 (>= 2."),
        "{}",
        control("Depends")
    );
    let contents = said("dpkg-deb", &["--contents", name]);
    assert!(
        contents.lines().all(|line| line.contains(" root/root ")),
        "{contents}"
    );
    for path in [
        "/usr/bin/switchback",
        "/usr/lib/systemd/system/switchback.service",
        "/etc/switchback/switchback.toml",
        "/usr/share/doc/switchback/example.toml",
        "/usr/share/doc/switchback/runbook.md",
        "/usr/share/doc/switchback/switchback.rules.yml",
        "/usr/share/doc/switchback/switchback.json",
        "/usr/share/doc/switchback/copyright",
        "/usr/share/doc/switchback/changelog.gz",
    ] {
        assert!(Path::new(&package.at(path)).is_file(), "{path}: {contents}");
    }
    assert_eq!(
        package.read("/usr/share/doc/switchback/README.md"),
        read("README.md")
    );
    assert_eq!(
        package.read("/usr/share/doc/switchback/index.md"),
        read("docs/README.md")
    );
    assert_eq!(
        said(&package.at("/usr/bin/switchback"), &["--version"]).trim(),
        format!("switchback {version}")
    );
    for path in [
        "/usr/share/man/man1/switchback.1.gz",
        "/usr/share/bash-completion/completions/switchback",
        "/usr/share/zsh/vendor-completions/_switchback",
        "/usr/share/fish/vendor_completions.d/switchback.fish",
    ] {
        assert!(Path::new(&package.at(path)).is_file(), "{path}: {contents}");
    }
    sums_are_right(&package);
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn sums_are_right(package: &Package) {
    let control = package.directory.path().join("control");
    said(
        "dpkg-deb",
        &["--control", package.name(), control.to_str().unwrap()],
    );
    let sums = control.join("md5sums");
    let checked = Command::new("md5sum")
        .args(["--check", "--quiet"])
        .arg(&sums)
        .current_dir(package.at(""))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", written(&checked));
    for script in ["postinst", "prerm", "postrm"] {
        let script = control.join(script);
        assert_eq!(
            std::fs::metadata(&script).unwrap().permissions().mode() & 0o777,
            0o755
        );
        said("sh", &["-n", script.to_str().unwrap()]);
    }
    let conffiles = std::fs::read_to_string(control.join("conffiles")).unwrap();
    assert_eq!(conffiles, "/etc/switchback/switchback.toml\n");
}

#[test]
fn the_packages_configuration_starts_nobody_before_it_has_a_route_and_fits_once_it_has() {
    let package = Package::make();
    let program = package.at("/usr/bin/switchback");
    let config = package.at("/etc/switchback/switchback.toml");
    let unconfigured = run(&program, &["check", "--config", &config]);
    assert_eq!(unconfigured.status.code(), Some(2));
    assert!(
        written(&unconfigured).contains("route"),
        "{}",
        written(&unconfigured)
    );
    let lines = std::fs::read_to_string(&config).unwrap();
    let on = |line: &str| match line.strip_prefix('#') {
        Some(off) if !off.is_empty() && !off.starts_with(' ') => off.to_owned(),
        _ => line.to_owned(),
    };
    let edited = lines.lines().map(on).collect::<Vec<_>>().join("\n");
    std::fs::write(&config, edited).unwrap();
    assert_eq!(
        said(&program, &["check", "--config", &config]),
        "ok; routes: main\n"
    );
}

#[test]
fn a_package_of_what_is_not_the_program_is_refused() {
    let directory = Directory::create("package").unwrap();
    let place = directory.path().display().to_string();
    for (binary, why) in [
        ("/nowhere/switchback", "is no program"),
        ("/bin/true", "build the present tree first"),
    ] {
        let output = build(&[binary, &place]);
        assert_eq!(output.status.code(), Some(1));
        assert!(written(&output).contains(why), "{}", written(&output));
    }
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0);
}

#[test]
fn a_program_without_a_manual_makes_no_package_that_is_to_have_one() {
    let directory = Directory::create("package").unwrap();
    let place = directory.path().display().to_string();
    // It says its version, and knows nothing else.
    let version = env!("CARGO_PKG_VERSION");
    let text = format!("#!/bin/sh\n[ \"$1\" = --version ] && echo 'switchback {version}'\n");
    let stand_in = directory.write("switchback", &text).unwrap();
    std::fs::set_permissions(&stand_in, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = build(&[stand_in.to_str().unwrap(), &place]);
    assert_eq!(output.status.code(), Some(1));
    assert!(written(&output).contains("no man page"), "{}", written(&output));
}
