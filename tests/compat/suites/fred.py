"""fred has no tests in its crate: a driver of our own, in RESP2 and RESP3."""

import os

from fetch import app, run
from scene import CACHE, HERE

title = "fred, a driver of ours (RESP2 and RESP3)"
VERSION = "10.1.0"
MANIFEST = f"""[package]
name = "fred-app"
version = "0.0.0"
edition = "2021"

[[bin]]
name = "fred-app"
path = "{HERE / 'apps' / 'fred_app.rs'}"

[dependencies]
fred = {{ version = "={VERSION}", features = ["i-all", "monitor", "subscriber-client", "dynamic-pool", "sha-1"] }}
futures = "0.3"
tokio = {{ version = "1", features = ["macros", "rt-multi-thread", "time", "sync"] }}

[workspace]
"""


def prepare():
    binary()
    return VERSION


def binary():
    folder = CACHE / "crates" / "fred-app"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Cargo.toml").write_text(MANIFEST)
    target = CACHE / "build" / "fred"
    run("cargo", "build", cwd=folder, env=os.environ | {"CARGO_TARGET_DIR": str(target), "CARGO_TERM_COLOR": "never"})
    return target / "debug" / "fred-app"


def cases(place):
    results = {}
    for protocol in (2, 3):
        place.flush()
        found = app(place, [binary()], more=[protocol], seconds=300)
        results.update({f"RESP{protocol}: {name}": why for name, why in found.items()})
    return results
