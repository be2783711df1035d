"""redis-rs's own tests, from its crate. They start servers of their own, so the proxy comes in by a stand-in for redis-server."""

import os
import re
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

from fetch import crate, run
from scene import CACHE, HERE

title = "redis-rs, its own suite"
VERSION = "0.32.7"
HELPERS = "0.12.0"  # of redis-test, which starts the servers
TESTS = ["test_acl", "test_async", "test_basic", "test_bignum", "test_cache", "test_geospatial", "test_script", "test_streams", "test_types"]
FEATURES = "acl,aio,cache-aio,connection-manager,geospatial,json,num-bigint,script,streams,tokio-comp,async-std-comp,smol-comp,r2d2"


def prepare():
    binaries()
    return VERSION


def binaries():
    source = crate("redis", VERSION)
    manifest = source / "Cargo.toml"
    text = manifest.read_text()
    if "redis-test" not in text:  # the crate was published without what its tests need besides
        text = text.replace('version = "=3.21.0"', 'version = "3"')  # as its helpers ask for another tempfile
        manifest.write_text(f'{text}\n[dev-dependencies.redis-test]\nversion = "={HELPERS}"\n\n[patch.crates-io]\nredis = {{ path = "." }}\n\n[workspace]\n')
    output = run("cargo", "test", "--no-run", "--no-default-features", "--features", FEATURES,
                 *(word for test in TESTS for word in ("--test", test)),
                 cwd=source, env=os.environ | {"CARGO_TARGET_DIR": str(CACHE / "build" / "redis-rs"), "CARGO_TERM_COLOR": "never"})
    return {name: CACHE / "build" / "redis-rs" / found for name, found in
            ((test, re.search(rf"\(\S*?(debug/deps/{test}-[0-9a-f]+)\)", output)[1]) for test in TESTS)}


def cases(place):
    source, results = crate("redis", VERSION), {}
    scenes = place.folder / "servers"
    scenes.mkdir()
    surroundings = os.environ | {
        "PATH": f"{HERE / 'stand_in'}:{os.environ['PATH']}", "COMPAT_REDIS_SERVER": shutil.which("redis-server"),
        "COMPAT_FOLDER": str(scenes)}
    surroundings.pop("COMPAT_WEIGHT", None)
    if place.way != "direct":
        surroundings["COMPAT_WEIGHT"] = place.way

    def one(test, binary, name):
        """Each in a process of its own, as they expect: a process keeps to the first runtime it meets."""
        done = subprocess.Popen([binary, "--exact", name], cwd=source, env=surroundings, start_new_session=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            output = done.communicate(timeout=60)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            output = "no end within 60 s"
        finally:
            try:
                os.killpg(done.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        good = done.poll() == 0 and "1 passed" in output
        results[f"{test}::{name}"] = None if good else re.sub(r"^running 1 test\s+", "", output.strip())[:600]

    with ThreadPoolExecutor(3) as pool:
        for test, binary in binaries().items():
            for line in run(binary, "--list", "--format", "terse", cwd=source).splitlines():
                if line.endswith(": test"):
                    pool.submit(one, test, binary, line.removesuffix(": test"))
    return results
