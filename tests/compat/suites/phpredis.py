"""phpredis's own tests, from Debian's source package, with Debian's build of the extension."""

import os
import re

from fetch import debian, debian_source

title = "phpredis, its own suite"
UNPACKED = "redis-5.3.7"


def prepare():
    debian("php-cli", "php-redis")
    debian_source("php-redis", UNPACKED)
    return UNPACKED.partition("-")[2]


def cases(place):
    tests = debian_source("php-redis", UNPACKED) / "tests"
    results = told(place, tests)
    # A test that dies takes those after it along: they are run by themselves.
    for name in re.findall(r"public\s+function (test\w+)", (tests / "RedisTest.php").read_text()):
        if name not in results:
            results |= {found: why for found, why in told(place, tests, "--test", name).items() if found not in results}
            results.setdefault(name, None if name in told.skipped else "it dies")
    return {name: why for name, why in results.items() if name not in told.skipped}


def told(place, tests, *which):
    _, output = place.run(
        ["php", "TestRedis.php", "--host", place.host, "--port", place.port, "--class", "Redis", "--nocolors", *which], 400, cwd=tests,
        env=os.environ | {"TEST_PHP_ARGS": "-d display_errors=0"})
    results = {}
    reasons = {}
    for line in output.splitlines():
        failed = re.search(r"Assertion failed.*?:(\d+) \((\w+)\)?|Uncaught exception '(.*)' \((\w+)\)", line)
        if failed:
            reasons.setdefault(failed[2] or failed[4], line.replace(str(tests), ""))
    for name, verdict in re.findall(r"^(test\w+)\s(?:(?!^test).)*?\[(PASSED|FAILED)\]", output, re.M | re.S):
        results[name] = None if verdict == "PASSED" else reasons.get(name, "failed")
    told.skipped |= set(re.findall(r"^(test\w+)\s(?:(?!^test).)*?\[SKIPPED\]", output, re.M | re.S))
    return results


told.skipped = set()
