"""Redis's own test suite, from Debian's source package: what of it runs against an external server, unit by unit."""

import re
import shutil
from collections import Counter

from fetch import debian, debian_source, run

title = "Redis, its own suite (against an external server)"
UNPACKED = "redis-7.0.15"

# What the suite does to its server, beyond what a route lets clients do unasked. Heartbeats are published, and so come between what
# it expects in a replica's stream: as few as may be.
route = """
allow = ["debug", "psync", "replconf", "replicaof", "slaveof", "sync"]
[route.guard]
heartbeat_interval = "10s"
stale_after = "20s"
"""

# Left out where there is a proxy: they count as lost. After these the rest of their unit would wait in vain: they make their server a
# replica, and the proxy waits for a master.
HANGING = [
    "MULTI / EXEC with REPLICAOF",
    "exec with read commands and stale replica state change",
]


def prepare():
    debian("tcl")
    debian_source("redis", UNPACKED)
    return UNPACKED.partition("-")[2]


def parts():
    """Each unit has servers and a proxy of its own: one that hangs, or leaves something behind, costs the others nothing."""
    listed = run("tclsh", "tests/test_helper.tcl", "--list-tests", cwd=debian_source("redis", UNPACKED))
    return listed.split()


def cases(place, unit):
    # A copy, as the suite cleans up in its own folder; the programs that it runs are those installed.
    source = place.folder / "suite"
    shutil.copytree(debian_source("redis", UNPACKED) / "tests", source / "tests")
    (source / "src").mkdir()
    for program in ("redis-server", "redis-cli", "redis-benchmark", "redis-check-aof", "redis-check-rdb"):
        (source / "src" / program).symlink_to(shutil.which(program))
    # Ports of its own, below those that the system gives out, so that several runs do not meet.
    ports = 20_000 + place.port % 200 * 50
    skipped = [] if place.way == "direct" else [word for name in HANGING for word in ("--skiptest", name)]
    _, output = place.run(
        ["tclsh", "tests/test_helper.tcl", "--host", place.host, "--port", place.port, "--single", unit, "--tags", "-slow", "--verbose",
         "--durable", "--timeout", "120", "--baseport", ports, "--portcount", 18, *skipped], 600, cwd=source)
    shutil.rmtree(source)
    return told(output, unit)


def told(output, unit):
    """name → None or why it failed. Several cases of one name are told apart by a number."""
    results, seen = {}, Counter()

    def tell(name, why):
        seen[name] += 1
        results[f"{unit}: {name}" + (f" ({seen[name]})" if seen[name] > 1 else "")] = why

    # What the suite prints besides may stand before a verdict on its line; what a failure says goes on below it.
    verdicts = re.split(r"\[(ok|err|exception|TIMEOUT)\](?:: ?)?", plain(output).partition("The End")[0])
    for verdict, said in zip(verdicts[1::2], verdicts[2::2]):
        name, _, why = said.partition("\n")
        if verdict == "ok":
            tell(re.sub(r" \(\d+ ms\)$", "", name), None)
        elif verdict == "err" and " in tests/" in name:
            tell(name.partition(" in tests/")[0], why.strip()[:2000] or "failed")
        elif verdict != "err" or not name.startswith(("TIMEOUT", "Can't start")):
            tell("(the unit ends well)", f"{verdict}: {said.strip()}"[:2000])
    if "The End" not in output and f"{unit}: (the unit ends well)" not in results:
        tell("(the unit ends well)", f"it does not end: {output[-500:]}")
    return results


def plain(output):
    return re.sub(r"\x1b\[[0-9;]*m", "", output)
