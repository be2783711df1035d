"""redis-py's own tests, of both its clients, in RESP3 (what it speaks by default), client-side caching among them."""

import sys

from fetch import junit, sdist, venv
from scene import CACHE

title = "redis-py, its own suite (RESP3, sync and asyncio)"
VERSION = "8.1.0"
PROTOCOL = 3
SECONDS_A_CASE = 60

# What needs no server, or another than a plain one: clusters, Sentinels, modules, several databases, TLS.
LEFT_OUT = [
    "maint_notifications", "test_auth", "test_http", "test_multidb", "test_observability", "test_scenario", "test_parsers",
    "test_asyncio/test_multidb", "test_asyncio/test_observability", "test_asyncio/test_scenario",
    *(f"{folder}test_{what}.py" for folder in ("", "test_asyncio/") for what in (
        "sentinel", "sentinel_managed_connection", "cluster", "cluster_transaction", "ssl", "search", "json", "bloom",
        "timeseries", "vsets")),
]
PASSWORDS = ["tests/test_credentials.py", "tests/test_asyncio/test_credentials.py"]
ONE_PASSWORD = "tests/test_commands.py::TestRedisCommands::test_auth"
MARKS = "not onlycluster and not redismod and not ssl and not cp_integration and not multidb_integration and not replica"


def prepare():
    sdist("redis", VERSION)
    python()
    return VERSION


def python():
    return venv(f"redis-py-{VERSION}", f"redis=={VERSION}", "pytest<9", "pytest-asyncio<1.2", "pytest-timeout", "pytest-cov",
                "pytest-profiling", "hiredis", "numpy", "xxhash", "pybreaker", "PyJWT", "redis-entraid", "mock",
                "opentelemetry-api", "opentelemetry-sdk", "cachetools", "aiohttp")


def cases(place, protocol=PROTOCOL):
    source = sdist("redis", VERSION)
    url = f"redis://{place.host}:{place.port}/0"
    found = {}
    # What gives its server a password runs last: where it cannot take it away again, nothing after it would pass.
    spared = [*(f"--ignore={what}" for what in PASSWORDS), f"--deselect={ONE_PASSWORD}"]
    parts = [["tests", "--ignore=tests/test_asyncio", *spared], ["tests/test_asyncio", *spared], [*PASSWORDS, ONE_PASSWORD]]
    for number, part in enumerate(parts):
        results = place.folder / f"junit-{number}.xml"
        place.run(
            [python(), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", "--timeout", SECONDS_A_CASE, "--redis-url", url, "--redis-mod-url", url,
             "--protocol", protocol, *(f"--ignore=tests/{what}" for what in LEFT_OUT), "-m", MARKS, "--junitxml", results, *part],
            1500, cwd=source)
        found |= junit(results)
    return found
