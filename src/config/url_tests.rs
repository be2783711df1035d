use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::*;

fn given_as(user: Option<&str>, password: Option<&str>) -> Given {
    Given {
        user: user.map(str::to_owned),
        password: password.map(Secret::new),
    }
}

#[test]
fn a_fixed_node_is_read_with_and_without_credentials() {
    let read = |text| parse(text).unwrap();
    let node = |host: &str, port| Discovery::Fixed(NodeAddr::new(host, port));
    assert_eq!(read("redis://10.0.0.1:6379").discovery, node("10.0.0.1", 6379));
    assert_eq!(read("redis://[::1]:1").discovery, node("::1", 1));
    let url = read("redis://app:p%40ss%2f:w@redis_1.local:65535");
    assert_eq!(url.discovery, node("redis_1.local", 65535));
    assert_eq!(url.given, given_as(Some("app"), Some("p@ss/:w")));
    assert_eq!(read("redis://:pw@h:1").given, given_as(None, Some("pw")));
    assert_eq!(read("redis://app@h:1").given, given_as(Some("app"), None));
    assert_eq!(read("redis://a:b@c@h:1").given, given_as(Some("a"), Some("b@c")));
}

#[test]
fn sentinels_and_the_master_name_are_read() {
    let url = parse("redis+sentinel://u:p@10.0.0.1:26379,[fe80::1]:26380/pubsub%2Dold").unwrap();
    let sentinels = vec![NodeAddr::new("10.0.0.1", 26379), NodeAddr::new("fe80::1", 26380)];
    let master_name = "pubsub-old".to_owned();
    assert_eq!(
        url.discovery,
        Discovery::Sentinel {
            sentinels,
            master_name
        }
    );
    assert_eq!(url.given, given_as(Some("u"), Some("p")));
}

#[test]
fn every_malformed_url_has_its_cause() {
    for (text, cause) in [
        ("", UrlFault::NoScheme),
        ("10.0.0.1:6379", UrlFault::NoScheme),
        ("http://h:1", UrlFault::UnknownScheme),
        ("REDIS://h:1", UrlFault::UnknownScheme),
        ("redisss://h:1", UrlFault::UnknownScheme),
        ("redis://u:p/w@h:1", UrlFault::Unescaped),
        ("redis://h:1?db=1", UrlFault::Query),
        ("redis://h:1/0", UrlFault::Path),
        ("redis://h:1/", UrlFault::Path),
        ("redis://h:1,h:2", UrlFault::SeveralNodes),
        ("redis+sentinel://h:1,h:1/m", UrlFault::SentinelTwice),
        ("redis+sentinel://h:1", UrlFault::NoMasterName),
        ("redis+sentinel://h:1/", UrlFault::NoMasterName),
        ("redis+sentinel://h:1/a/b", UrlFault::MasterName),
        ("redis+sentinel://h:1/a%0d%0ab", UrlFault::MasterName),
        ("redis+sentinel://h:1,/m", UrlFault::NoHost),
        ("redis://", UrlFault::NoHost),
        ("redis://:6379", UrlFault::NoHost),
        ("redis://::1:6379", UrlFault::Host),
        ("redis://[::1:6379", UrlFault::Host),
        ("redis://[h]:6379", UrlFault::Host),
        ("redis://h h:6379", UrlFault::Host),
        ("redis://h", UrlFault::NoPort),
        ("redis://[::1]", UrlFault::NoPort),
        ("redis://h:", UrlFault::Port),
        ("redis://h:0", UrlFault::Port),
        ("redis://h:+1", UrlFault::Port),
        ("redis://h:65536", UrlFault::Port),
        ("redis://u:%2@h:1", UrlFault::Escape),
        ("redis://u:%ff@h:1", UrlFault::Escape),
        ("redis://u:@h:1", UrlFault::EmptyPassword),
    ] {
        assert_eq!(parse(text), Err(cause), "{text}");
    }
}

#[test]
fn the_longest_password_and_list_are_taken_and_one_more_is_not() {
    let password = |length| parse(&format!("redis://u:{}@h:1", "x".repeat(length))).map(|_| ());
    assert_eq!(password(PASSWORD_BYTES_MAX), Ok(()));
    assert_eq!(password(PASSWORD_BYTES_MAX + 1), Err(UrlFault::PasswordTooLong));
    let sentinels = |count| {
        let hosts: Vec<String> = (1..=count).map(|port| format!("h:{port}")).collect();
        parse(&format!("redis+sentinel://{}/m", hosts.join(","))).map(|_| ())
    };
    assert_eq!(sentinels(SENTINELS_MAX), Ok(()));
    assert_eq!(sentinels(SENTINELS_MAX + 1), Err(UrlFault::TooManySentinels));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>(), scheme in "(redis|redis\\+sentinel)://") {
        let _ = parse(&text);
        let _ = parse(&format!("{scheme}{text}"));
        prop_assert!(!super::super::shown::shown_url(&text).contains('\n'));
    }

    #[test]
    fn any_password_survives_encoding(password in ".{1,40}", port in 1u16..) {
        let encoded = percent_encoding::utf8_percent_encode(&password, percent_encoding::NON_ALPHANUMERIC);
        let read = parse(&format!("redis://u:{encoded}@h:{port}")).unwrap().given.password.unwrap();
        prop_assert_eq!(read.expose(), password);
    }
}
