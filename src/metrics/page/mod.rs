//! What does the page look like?
//!
//! Pure: one document with its style and its script in it, which loads nothing and runs nothing else: the policy that
//! goes with it names the two by their hashes. Without a script it is a page of tables that loads itself again.

mod html;

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::glance::Seen;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// `Content-Security-Policy` of the page.
pub(super) static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
});

/// The page with what was seen at `time`.
pub(super) fn of(seen: &Seen, time: &str) -> String {
    let pulse = format!("as of {}", html::escaped(time));
    document(&pulse, "", &html::routes(seen))
}

/// The page when there is nothing to show.
pub(super) fn without(why: &str) -> String {
    document(
        "nothing was heard yet",
        &format!("NO ANSWER: {}", html::escaped(why)),
        "",
    )
}

/// All three are HTML already.
fn document(pulse: &str, alarm: &str, routes: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Switchback</title>\n\
         <noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <header><h1>Switchback</h1><p id=\"pulse\">{pulse}</p></header>\n<p id=\"alarm\" role=\"alert\">{alarm}</p>\n\
         <main id=\"routes\">{routes}</main>\n\
         <footer><p>This page changes nothing. The same as <a href=\"status.json\">JSON</a>; \
         <a href=\"metrics\">metrics</a>.</p></footer>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_that_was_seen_becomes_part_of_the_page() {
        let evil = "\"'><script>alert(1)</script>&amp;";
        let status = json!([{"route": evil, "state": evil, "reason": evil, "paused": evil, "advice": evil, "latched": true,
                             "estimated_end": evil, "ramp": {"steps": []},
                             "old": {"verdict": evil, "master": evil, "replicas": [evil]}, "new": null}]);
        let health = json!([{"route": evil, "side": evil, "rule": evil, "verdict": evil, "action": evil, "node": evil,
                             "unit": evil, "since": evil, "note": evil}]);
        let topology = json!([{"route": evil, "side": "old", "nodes": [{"node": evil, "role": evil}]}]);
        let events = json!([{"route": evil, "time": evil, "side": evil, "kind": evil, "reason": evil}]);
        let page = of(&Seen::of(&status, &health, &topology, &events), evil);
        assert_eq!(page.matches("<script>").count(), 1);
        assert_eq!(page.matches("</script>").count(), 1);
        assert!(page.contains("&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;"));
        assert!(without(evil).matches("<script>").count() == 1);
    }

    #[test]
    fn the_style_and_the_script_end_nowhere_but_where_they_end_and_call_nothing_from_elsewhere() {
        assert!(!STYLE.contains("</") && !SCRIPT.contains("</"));
        let page = without("x");
        for outside in [
            "http://",
            "https://",
            "//cdn",
            "@import",
            "url(",
            "innerHTML",
            "eval(",
            " onclick",
            " onload",
        ] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(!POLICY.contains("unsafe"), "{}", *POLICY);
    }
}
