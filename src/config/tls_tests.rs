use rcgen::{CertificateParams, KeyPair};

use super::*;

/// Files with a pair, another's key, and an authority; a machine that trusts in nobody.
fn read(text: &str) -> Result<Config, Faults> {
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(["h".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let other = KeyPair::generate().unwrap();
    let around = Surroundings {
        cores: 1,
        is_root: false,
        read: &|path, _| match path.to_str() {
            Some("cert") => Ok(cert.pem().into_bytes()),
            Some("key") => Ok(key.serialize_pem().into_bytes()),
            Some("both") => Ok((cert.pem() + &key.serialize_pem()).into_bytes()),
            Some("other.key") => Ok(other.serialize_pem().into_bytes()),
            Some("text") => Ok(b"hunter2".to_vec()),
            Some("endless") => Ok(vec![b'x'; crate::limits::PEM_BYTES_MAX + 1]),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        },
        env: &|_| None,
        roots: &Vec::new,
    };
    parse(text, &around)
}

fn route(more: &str) -> Result<Config, Faults> {
    read(&format!(
        "[[route]]\nname = 'a'\nlisten = ['127.0.0.1:1']\n{more}\n"
    ))
}

#[test]
fn a_listener_and_both_sides_have_tls_of_their_own() {
    let config = route(
        "old = 'rediss://h:1'\nnew = 'rediss+sentinel://h:2/m'\ntls = { cert = 'cert', key = 'key', client_ca = 'cert' }\n\
         old_tls.ca = 'cert'\nnew_tls = { ca = 'cert', cert = 'both', key = 'both', server_name = 'redis', verify = 'ca' }",
    );
    let route = config.unwrap().routes.remove(0);
    let (old, new) = (route.old.tls.unwrap(), route.new.unwrap().tls.unwrap());
    assert!(route.tls.is_some() && old != new);
    assert_eq!(format!("{old:?}"), "SideTls(***)");
}

#[test]
fn without_it_there_is_none() {
    let route = route("old = 'redis://h:1'").unwrap().routes.remove(0);
    assert!(route.tls.is_none() && route.old.tls.is_none());
}

#[test]
fn every_fault_is_told_by_its_key_and_nothing_of_a_file() {
    for (more, path, cause) in [
        ("tls.cert = 'cert'", "tls.key", "found nothing"),
        ("tls.key = 'key'", "tls.cert", "found nothing"),
        (
            "tls = { cert = 'cert', key = 'other.key' }",
            "tls",
            "does not belong",
        ),
        (
            "tls = { cert = 'gone', key = 'key' }",
            "tls.cert",
            "cannot be read: entity not found",
        ),
        (
            "tls = { cert = 'text', key = 'key' }",
            "tls.cert",
            "holds no certificate",
        ),
        (
            "tls = { cert = 'cert', key = 'text' }",
            "tls.key",
            "holds no private key",
        ),
        (
            "tls = { cert = 'key', key = 'key' }",
            "tls.cert",
            "holds no certificate",
        ),
        (
            "tls = { cert = 'endless', key = 'key' }",
            "tls.cert",
            "longer than 1048576 bytes",
        ),
        (
            "tls = { cert = 'cert', key = 'key', client_ca = 'text' }",
            "tls.client_ca",
            "holds no certificate",
        ),
        ("tls = { cert = 1, key = 'key' }", "tls.cert", "found an integer"),
        (
            "tls = { cert = 'cert', key = 'key', ca = 'cert' }",
            "tls.ca",
            "unknown key",
        ),
        ("old_tls.ca = 'cert'", "old_tls", "with rediss://"),
        ("new_tls.ca = 'cert'", "new_tls", "a side that is not there"),
    ] {
        let text = route(&format!("old = 'redis://h:1'\n{more}"))
            .unwrap_err()
            .to_string();
        assert!(
            text.contains(&format!("route[a].{path} ")) || text.contains(&format!("route[a].{path}:")),
            "{more}\n{text}"
        );
        assert!(
            text.contains(cause) && !text.contains("hunter2"),
            "{more}\n{text}"
        );
    }
    for (more, path, cause) in [
        ("", "old", "lists no certificate authority"),
        (
            "old_tls.verify = 'full'",
            "old_tls",
            "lists no certificate authority",
        ),
        ("old_tls.ca = 'gone'", "old_tls.ca", "cannot be read"),
        (
            "old_tls = { ca = 'cert', cert = 'cert' }",
            "old_tls.cert",
            "go together",
        ),
        (
            "old_tls = { ca = 'cert', key = 'key' }",
            "old_tls.key",
            "go together",
        ),
        (
            "old_tls = { ca = 'cert', cert = 'cert', key = 'other.key' }",
            "old_tls",
            "does not belong",
        ),
        (
            "old_tls = { ca = 'cert', server_name = 'a b' }",
            "old_tls.server_name",
            "found \"a b\"",
        ),
        (
            "old_tls = { ca = 'cert', verify = 'none' }",
            "old_tls.verify",
            "\"full\" or \"ca\"",
        ),
    ] {
        let text = route(&format!("old = 'rediss://h:1'\n{more}"))
            .unwrap_err()
            .to_string();
        assert!(text.contains(&format!("route[a].{path} ")), "{more}\n{text}");
        assert!(text.contains(cause), "{more}\n{text}");
    }
}
