"""hiredis's own tests, from Debian's source package, over TCP, a unix socket and an inherited one."""

import re

from fetch import debian_source, once, run
from scene import CACHE, unix_door

title = "hiredis, its own suite"
UNPACKED = "hiredis-0.14.1"


def prepare():
    program()
    return UNPACKED.partition("-")[2]


def program():
    source = debian_source("hiredis", UNPACKED)

    def make(folder):
        parts = [source / f"{part}.c" for part in ("test", "alloc", "hiredis", "net", "read", "sds")]
        run("cc", "-std=c99", "-O1", "-w", "-o", folder / "hiredis-test", *parts)
    return once(CACHE / "build" / UNPACKED, make) / "hiredis-test"


def cases(place):
    with unix_door(place) as door:
        _, output = place.run([program(), "-h", place.host, "-p", place.port, "-s", door], 240)
    results = {}
    transport = ""
    for line in output.splitlines():
        line = re.sub(r"\x1b\[[0-9;]*m", "", line)
        head = re.match(r"Testing against (.*?)(?: connection)?(?: \(.*)?:?$|(Testing.*)$", line)
        transport = (head[1] or head[2]) if head else transport
        case = re.match(r"#\d+ (.*?):? *(PASSED|FAILED)?$", line)
        if case:
            name, verdict = case[1], case[2]
        elif re.match(r"\s*(PASSED|FAILED)$", line):
            verdict = line.strip()
        else:
            continue
        if verdict:
            results[f"{transport}: {name}"] = None if verdict == "PASSED" else "failed"
    if "ALL TESTS PASSED" not in output and "TESTS FAILED" not in output:
        results["(the suite ends)"] = output[-300:]
    return results
