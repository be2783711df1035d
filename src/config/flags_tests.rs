use std::ffi::OsString;
use std::path::Path;

use super::*;
use crate::cluster::Discovery;

fn flags(old: &str) -> Flags {
    Flags {
        listen: "127.0.0.1:6400".to_owned(),
        old: old.to_owned(),
        ..Flags::default()
    }
}

fn read(flags: &Flags, env: &[(&str, &str)]) -> Result<Config, Faults> {
    let variable = |name: &str| {
        let found = env.iter().find(|(key, _)| *key == name)?;
        Some(OsString::from(found.1))
    };
    let around = Surroundings {
        cores: 2,
        is_root: false,
        read: &|_, _| Err(std::io::ErrorKind::NotFound.into()),
        env: &variable,
        roots: &Vec::new,
    };
    from_flags(flags, &around)
}

const HOME: (&str, &str) = ("HOME", "/home/op");

#[test]
fn flags_give_one_route_with_the_defaults_of_a_file() {
    let config = read(&flags("redis://h:1"), &[HOME]).unwrap();
    assert_eq!(config.routes.len(), 1);
    let route = &config.routes[0];
    assert_eq!((route.name.as_str(), route.new.as_ref()), (Flags::ROUTE, None));
    assert!(matches!(route.old.discovery, Discovery::Fixed(_)));
    assert_eq!(config.proxy.workers, 2);
    assert_eq!(config.proxy.admin_socket, Path::new(ProxyConfig::ADMIN_SOCKET));
    assert_eq!(config.proxy.metrics_listen, Some(ProxyConfig::METRICS_LISTEN));
}

#[test]
fn state_is_kept_where_the_process_may_write() {
    let state_dir = |flags: &Flags, env: &[_]| read(flags, env).map(|config| config.proxy.state_dir);
    let plain = flags("redis://h:1");
    assert_eq!(
        state_dir(&plain, &[HOME]),
        Ok(PathBuf::from("/home/op/.local/state/switchback"))
    );
    let xdg = [HOME, ("XDG_STATE_HOME", "/state")];
    assert_eq!(state_dir(&plain, &xdg), Ok(PathBuf::from("/state/switchback")));
    let relative = [HOME, ("XDG_STATE_HOME", "state")];
    assert_eq!(
        state_dir(&plain, &relative),
        Ok(PathBuf::from("/home/op/.local/state/switchback"))
    );
    let said = Flags {
        state_dir: Some(PathBuf::from("/x")),
        ..plain.clone()
    };
    assert_eq!(state_dir(&said, &[]), Ok(PathBuf::from("/x")));
    let nowhere = state_dir(&plain, &[]).unwrap_err().to_string();
    assert!(
        nowhere.starts_with("--state-dir: found neither it nor HOME"),
        "{nowhere}"
    );
    let around = Surroundings {
        is_root: true,
        env: &|_| None,
        ..Surroundings::real()
    };
    let root = from_flags(&plain, &around).unwrap().proxy.state_dir;
    assert_eq!(root, Path::new("/var/lib/switchback"));
}

#[test]
fn passwords_come_from_the_environment_too() {
    let new = Some("redis+sentinel://h:2/m".to_owned());
    let flags = Flags {
        new,
        ..flags("redis://app@h:1")
    };
    let env = [
        HOME,
        ("SWITCHBACK_OLD_PASSWORD", "one"),
        ("SWITCHBACK_OLD_SENTINEL_PASSWORD", "unused"),
        ("SWITCHBACK_NEW_SENTINEL_PASSWORD", "two"),
    ];
    let route = &read(&flags, &env).unwrap().routes[0];
    let old = route.old.node_auth.as_ref().unwrap();
    assert_eq!((old.user.as_deref(), old.password.expose()), (Some("app"), "one"));
    assert_eq!(route.old.sentinel_auth, None);
    let new = route.new.as_ref().unwrap();
    assert_eq!(new.node_auth, None);
    assert_eq!(new.sentinel_auth.as_ref().unwrap().password.expose(), "two");
}

#[test]
fn every_faulty_flag_is_named_and_no_password_shown() {
    let flags = Flags {
        listen: "6400".to_owned(),
        old: "redis://u:hunter2@h".to_owned(),
        new: Some("rediss://u:hunter2@h:1".to_owned()),
        admin_socket: Some(PathBuf::from("/".repeat(108))),
        metrics: Some("x".to_owned()),
        state_dir: Some(PathBuf::new()),
    };
    let text = read(&flags, &[]).unwrap_err().to_string();
    for flag in [
        "--listen",
        "--old",
        "--new",
        "--admin-socket",
        "--metrics",
        "--state-dir",
    ] {
        let named = text
            .lines()
            .filter(|line| line.starts_with(&format!("{flag}: ")))
            .count();
        assert_eq!(named, 1, "{flag}\n{text}");
    }
    assert_eq!(text.lines().count(), 6, "{text}");
    assert!(!text.contains("hunter2") && !format!("{flags:?}").contains("hunter2"));
}

#[test]
fn one_address_cannot_be_for_apps_and_metrics_and_redis() {
    let flags = Flags {
        metrics: Some("127.0.0.1:6400".to_owned()),
        ..flags("redis://h:1")
    };
    let text = read(&flags, &[HOME]).unwrap_err().to_string();
    assert!(
        text.starts_with("--listen: found 127.0.0.1:6400, which --metrics has already"),
        "{text}"
    );
    let flags = Flags {
        metrics: Some(String::new()),
        ..flags_to_itself()
    };
    let text = read(&flags, &[HOME]).unwrap_err().to_string();
    assert!(
        text.starts_with("--old: found 127.0.0.1:6400, which this proxy itself listens on"),
        "{text}"
    );
}

fn flags_to_itself() -> Flags {
    flags("redis://127.0.0.1:6400")
}
