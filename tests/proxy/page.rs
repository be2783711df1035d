//! The page on the metrics address, as curl and as a browser see it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use switchback::lab::{Server, ServerOptions, wait_for};

use crate::operating::{server, url};
use crate::running::{Child, Running, SOON};

const HOSTILE: &str = "<script>document.documentElement.dataset.owned=1</script><img src=x onerror=\"document.title='owned'\">&lt;'";
/// A browser starts slowly on a busy machine.
const BROWSER_WAIT: Duration = Duration::from_secs(60);

/// Head and body of the answer.
fn asked(address: SocketAddr, method: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// What a browser has made of the page after its script has run for seconds of its time.
fn browsed(address: SocketAddr) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = profile.path().join("dom");
    let child = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--virtual-time-budget=4000", "--dump-dom"])
        .arg(format!("http://{address}/"))
        .stdout(std::fs::File::create(&output).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromium must be installed (Debian package chromium)");
    let mut child = Child(child);
    wait_for("the browser", BROWSER_WAIT, || {
        child.0.try_wait().unwrap().is_some()
    })
    .unwrap();
    std::fs::read_to_string(&output).unwrap()
}

fn with_replica() -> (Server, Server, Server, Running) {
    let (old, new) = (server(), server());
    let options = ServerOptions {
        replica_of: Some(old.addr()),
        ..ServerOptions::default()
    };
    let replica = Server::start(&options).unwrap();
    let running = Running::start(&url(&old), Some(&url(&new)), "");
    (old, replica, new, running)
}

#[test]
fn the_page_is_there_without_a_script_and_only_to_be_read() {
    let (old, replica, new, running) = with_replica();
    running.raise("25");
    wait_for("the replica to be measured", SOON, || {
        let (_, page) = asked(running.metrics, "GET", "/");
        page.contains("data-weight=\"25.00\"")
            && page.contains(&format!("<td>replica</td><td>{}</td>", replica.addr()))
    })
    .unwrap();
    let (head, page) = asked(running.metrics, "GET", "/");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    for line in [
        "content-type: text/html; charset=utf-8",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
    ] {
        assert!(head.contains(line), "{line}: {head}");
    }
    let policy = head
        .lines()
        .find(|line| line.starts_with("content-security-policy: "))
        .unwrap();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    for node in [&old, &new] {
        assert!(
            page.contains(&format!("<td>master</td><td>{}</td>", node.addr())),
            "{page}"
        );
    }
    let row = page
        .split("<tr>")
        .find(|row| row.contains(&old.addr().to_string()));
    assert!(
        row.unwrap().contains("</span></td><td>-</td><td>-</td>"),
        "a master is behind nobody: {page}"
    );
    assert!(page.contains("heartbeat_delay") && page.contains("http-equiv=\"refresh\""));
    let (head, body) = asked(running.metrics, "HEAD", "/");
    assert!(head.starts_with("HTTP/1.1 200 OK") && body.is_empty(), "{head}");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        for path in ["/", "/status.json"] {
            let (head, _) = asked(running.metrics, method, path);
            assert!(
                head.starts_with("HTTP/1.1 405") && head.contains("allow: GET, HEAD"),
                "{method} {path}: {head}"
            );
        }
    }
    for path in ["/index.html", "/status", "//", "/status.json/", "/..%2f"] {
        assert!(
            asked(running.metrics, "GET", path).0.starts_with("HTTP/1.1 404"),
            "{path}"
        );
    }
    assert_eq!(running.say(&["WEIGHT", "r"]), "25.00");
}

#[test]
fn the_json_is_what_operators_are_told_and_holds_no_secret() {
    let secret = "s3cr3t-0f-th3-n0de";
    let old = server();
    old.call(&["CONFIG", "SET", "requirepass", secret]).unwrap();
    let running = Running::start(&format!("redis://:{secret}@{}", old.addr()), None, "");
    wait_for("the node to be seen", SOON, || {
        let (_, body) = asked(running.metrics, "GET", "/status.json");
        let told: Value = serde_json::from_str(&body).unwrap();
        told["topology"][0]["nodes"][0]["up"] == true
    })
    .unwrap();
    let (head, body) = asked(running.metrics, "GET", "/status.json");
    assert!(head.contains("content-type: application/json"), "{head}");
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(told["status"][0]["route"], "r");
    assert_eq!(told["health"][0]["route"], "r");
    let node = &told["topology"][0]["nodes"][0];
    assert_eq!(
        (&node["node"], &node["role"]),
        (&old.addr().to_string().into(), &"master".into())
    );
    assert!(
        told["events"]
            .as_array()
            .unwrap()
            .iter()
            .any(|event| event["kind"] == "started")
    );
    let (_, page) = asked(running.metrics, "GET", "/");
    assert!(!body.contains(secret) && !page.contains(secret));
}

#[test]
fn a_browser_shows_both_sides_and_runs_nothing_that_was_said() {
    let (old, replica, new, running) = with_replica();
    running.raise("25");
    let page = browsed(running.metrics);
    assert!(page.contains("data-live=\"yes\""), "the script has run: {page}");
    assert!(
        page.contains("data-weight=\"25.00\"") && page.contains("<strong>25.00 %</strong> on new"),
        "{page}"
    );
    assert!(page.contains("data-state=\"steady\"") && page.contains("data-latched=\"false\""));
    for (side, node) in [("old", &old), ("old", &replica), ("new", &new)] {
        let row = page
            .split("<tr>")
            .find(|row| row.contains(&format!("<td>{}</td>", node.addr())));
        assert!(
            row.is_some_and(|row| row.contains(&format!("<td>{side}</td>"))),
            "{side} {}: {page}",
            node.addr()
        );
    }
    let bars = "▁▂▃▄▅▆▇█".chars();
    let has_bar = |bar| page.contains(&format!("class=\"trend\">{bar}"));
    assert!(
        bars.into_iter().any(has_bar),
        "what only the script knows: {page}"
    );

    assert_eq!(running.say(&["BACK", "r", "REASON", HOSTILE]), "OK");
    wait_for("the page to be of after that", SOON, || {
        asked(running.metrics, "GET", "/")
            .1
            .contains("data-state=\"tripped\"")
    })
    .unwrap();
    for page in [asked(running.metrics, "GET", "/").1, browsed(running.metrics)] {
        assert!(
            page.contains("data-state=\"tripped\" data-latched=\"true\" data-weight=\"0.00\""),
            "{page}"
        );
        assert!(page.contains(">tripped</span>"), "{page}");
        assert!(
            page.contains("&lt;script&gt;document"),
            "the reason is text: {page}"
        );
        assert!(
            !page.contains("<script>document.documentElement.dataset.owned") && !page.contains("<img"),
            "{page}"
        );
        assert!(
            !page.contains("data-owned") && !page.contains("<title>owned"),
            "{page}"
        );
    }
}

#[test]
fn a_browser_says_when_nothing_is_heard_any_more() {
    let (_old, _replica, _new, running) = with_replica();
    let (head, page) = asked(running.metrics, "GET", "/");
    for (answer, told) in [
        (
            "HTTP/1.1 503 X\r\nContent-Length: 28\r\n\r\n{\"error\":\"the loop <hangs>\"}",
            "NO ANSWER: the loop &lt;hangs&gt;",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{\"x", "NO ANSWER: "),
        ("", "NO ANSWER: "),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let page = format!("{head}\r\n\r\n{page}");
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                let count = stream.read(&mut request).unwrap_or(0);
                let is_page = request[..count].starts_with(b"GET / ");
                let answer = if is_page { page.as_str() } else { answer };
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        let seen = browsed(address);
        assert!(
            seen.contains(told) && seen.contains("data-live=\"no\""),
            "{told}: {seen}"
        );
        assert!(
            seen.contains("data-weight=\"0.00\""),
            "what was known last stays: {seen}"
        );
    }
}
