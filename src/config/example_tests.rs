//! Is `config/example.toml` true?

use std::sync::LazyLock;

use super::keys::Keys;
use super::{Config, Surroundings, parse};
use super::{file, guard, proxy, ramp, route, route_limits, secret, tls};
use crate::control_plane::guard::Rule;

const EXAMPLE: &str = include_str!("../../config/example.toml");

fn around() -> Surroundings<'static> {
    Surroundings {
        cores: 3,
        is_root: false,
        read: &|path, _| {
            let path = path.display().to_string();
            Ok(match path.ends_with(".pem") || path.ends_with(".key") {
                true => PAIR.clone(),
                false => b"from the file\n".to_vec(),
            })
        },
        env: &|_| Some("from the environment".into()),
        roots: &Vec::new,
    }
}

/// A certificate and its key, in one file.
static PAIR: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let pair = rcgen::generate_simple_self_signed(["h".to_owned()]).unwrap();
    (pair.cert.pem() + &pair.signing_key.serialize_pem()).into_bytes()
});

fn read(text: &str) -> Config {
    parse(text, &around()).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn the_example_says_the_defaults() {
    let required = r#"
        [[route]]
        name = "pubsub-1"
        listen = ["127.0.0.1:6400"]
        old = "redis+sentinel://10.0.0.1:26379,10.0.0.2:26379/pubsub-old"
        new = "redis+sentinel://10.0.1.1:26379,10.0.1.2:26379/pubsub-new"
    "#;
    assert_eq!(read(EXAMPLE), read(required));
}

#[test]
fn what_is_off_in_the_example_is_valid() {
    let is_off = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line.len() > 1;
    let on: Vec<&str> = EXAMPLE
        .lines()
        .map(|line| if is_off(line) { &line[1..] } else { line })
        .collect();
    // Of a URL without TLS its tables would be faults.
    let on = on.join("\n").replace("\"redis+sentinel:", "\"rediss+sentinel:");
    let config = read(&on);
    let old = &config.routes[0].old;
    let node = old.node_auth.as_ref().unwrap();
    assert_eq!(node.user.as_deref(), Some("switchback"));
    assert_eq!(node.password.expose(), "from the file");
    let sentinel = old.sentinel_auth.as_ref().unwrap();
    assert_eq!(sentinel.password.expose(), "from the environment");
    let new = config.routes[0].new.as_ref().unwrap();
    assert_eq!(new.node_auth.as_ref().unwrap().password.expose(), "change-me");
    assert!(new.sentinel_auth.is_some());
    let remote = config.proxy.admin_remote.unwrap();
    assert_eq!(remote.auth.user.as_deref(), Some("operator"));
    assert!(config.routes[0].tls.is_some() && old.tls.is_some());
    let window = config.routes[0].ramp.window;
    assert_eq!(window, Some("20:00-06:00".parse().unwrap()));
}

/// The keys that stand under a header of the example, whether on or off.
fn keys_under(header: &str) -> Vec<&'static str> {
    let plain = |line: &'static str| line.trim_start_matches('#').trim_start();
    let is_header = |line: &&str| line.starts_with('[') && line.ends_with(']');
    let body = EXAMPLE.lines().map(plain).skip_while(|line| *line != header);
    body.skip(1)
        .take_while(|line| !is_header(line))
        .filter_map(|line| Some(line.split_once(" = ")?.0))
        .collect()
}

#[test]
fn every_known_key_stands_in_the_example_and_no_other() {
    let tables = |keys: Keys, tables: &[&str]| {
        let plain = keys.known.iter().copied().filter(|key| !tables.contains(key));
        plain.collect::<Vec<_>>()
    };
    let auths = ["old_auth", "old_sentinel_auth", "new_auth", "new_sentinel_auth"];
    let rules = Rule::ALL.map(Rule::name);
    let expect = |header: &str, mut keys: Vec<&str>, mut found: Vec<&str>| {
        keys.sort_unstable();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, keys, "{header}");
    };
    assert!(tables(file::FILE, &["proxy", "route"]).is_empty());
    let of_proxy = tables(proxy::PROXY, &["admin_tls", "admin_auth"]);
    expect("[proxy]", of_proxy, keys_under("[proxy]"));
    let of_admin = keys_under("[proxy.admin_tls]");
    expect("tls", tables(tls::LISTENER, &[]), of_admin);
    let sides = ["old_tls", "new_tls"];
    let of_route = [&auths[..], &sides, &["tls", "guard", "ramp", "limits"]].concat();
    expect("tls", tables(tls::LISTENER, &[]), keys_under("[route.tls]"));
    let of_side = sides
        .iter()
        .flat_map(|side| keys_under(&format!("[route.{side}]")));
    expect("tls", tables(tls::SIDE, &[]), of_side.collect());
    expect(
        "[[route]]",
        tables(route::ROUTE, &of_route),
        keys_under("[[route]]"),
    );
    expect(
        "[route.ramp]",
        tables(ramp::RAMP, &[]),
        keys_under("[route.ramp]"),
    );
    let limits = tables(route_limits::LIMITS, &[]);
    expect("[route.limits]", limits, keys_under("[route.limits]"));
    let auth = auths
        .iter()
        .flat_map(|auth| keys_under(&format!("[route.{auth}]")));
    expect("auth", tables(secret::AUTH, &[]), auth.collect());
    let mut of_guard = tables(guard::GUARD, &rules);
    of_guard.push("action");
    expect("[route.guard]", of_guard, keys_under("[route.guard]"));
    for rule in Rule::ALL {
        let header = format!("[route.guard.{rule}]");
        expect(
            &header,
            tables(guard::keys_of(rule), &["action"]),
            keys_under(&header),
        );
    }
}

#[test]
fn every_rule_is_a_key() {
    for rule in Rule::ALL {
        assert!(guard::GUARD.known.contains(&rule.name()), "{rule}");
    }
}
