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
    _, output = place.run(
        ["php", "TestRedis.php", "--host", place.host, "--port", place.port, "--class", "Redis", "--nocolors"], 400, cwd=tests,
        env=os.environ | {"TEST_PHP_ARGS": "-d display_errors=0"})
    results = {}
    reasons = {}
    for line in output.splitlines():
        failed = re.search(r"Assertion failed.*?:(\d+) \((\w+)\)?|Uncaught exception '(.*)' \((\w+)\)", line)
        if failed:
            reasons.setdefault(failed[2] or failed[4], line.replace(str(tests), ""))
    for name, verdict in re.findall(r"^(test\w+)\s.*?\[(PASSED|FAILED)\]", output, re.M | re.S):
        results[name] = None if verdict == "PASSED" else reasons.get(name, "failed")
    if "All tests passed" not in output and "Assertion failed" not in output and "Uncaught" not in output:
        results["(the suite ends)"] = output[-300:]
    return results
