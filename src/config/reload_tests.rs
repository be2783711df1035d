use super::*;
use crate::config::{Surroundings, parse};

fn read(text: &str) -> Config {
    let around = Surroundings {
        cores: 2,
        is_root: false,
        read: &|_, _| Ok(b"new".to_vec()),
        env: &|_| None,
        roots: &Vec::new,
    };
    parse(text, &around).unwrap_or_else(|faults| panic!("{faults}"))
}

const BEFORE: &str = "
[[route]]
name = 'a'
listen = ['127.0.0.1:1']
old = 'redis://:hunter2@h:1'
new = 'redis+sentinel://h:2/m'
[[route]]
name = 'b'
listen = ['127.0.0.1:2']
old = 'redis://h:1'
";

#[test]
fn guard_ramp_limits_and_the_first_weight_may_change() {
    let after = BEFORE.replace(
        "name = 'a'",
        "name = 'a'\nweight = 5\nlimits.clients = 7\nguard.link_down.action = 'off'\nguard.tilt_for = '5s'\nramp.hold = '9s'",
    );
    assert_eq!(reloadable(&read(BEFORE), &read(&after)), Ok(()));
}

#[test]
fn the_order_of_routes_is_no_difference() {
    let mut after = read(BEFORE);
    after.routes.reverse();
    assert_eq!(reloadable(&read(BEFORE), &after), Ok(()));
}

#[test]
fn every_difference_that_needs_a_restart_is_named() {
    let after = "
        [proxy]
        workers = 9
        admin_socket = 'x'
        metrics_listen = ''
        state_dir = 'y'
        [[route]]
        name = 'a'
        listen = ['127.0.0.1:3']
        old = 'redis://:hunter3@h:1'
        new = 'redis+sentinel://h:3/m'
        new_sentinel_auth.password_file = 'p'
        subscribe_to = 'replica'
        uncertain = 'retry'
        uncertain_publish = 'error'
        allow = ['debug']
        [[route]]
        name = 'c'
        listen = ['127.0.0.1:2']
        old = 'redis://h:1'
    ";
    let faults = reloadable(&read(BEFORE), &read(after)).unwrap_err();
    let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "proxy.workers",
            "proxy.admin_socket",
            "proxy.metrics_listen",
            "proxy.state_dir",
            "route[a].listen",
            "route[a].subscribe_to",
            "route[a].uncertain",
            "route[a].uncertain_publish",
            "route[a].allow",
            "route[a].old_auth",
            "route[a].new",
            "route[a].new_sentinel_auth",
            "route[b]",
            "route[c]",
        ]
    );
    assert!(!faults.to_string().contains("hunter"));
    let without_new = BEFORE.replace("new = 'redis+sentinel://h:2/m'", "");
    let faults = reloadable(&read(BEFORE), &read(&without_new)).unwrap_err();
    assert_eq!(
        faults.to_string(),
        "route[a].new: has changed; this needs a restart"
    );
}
