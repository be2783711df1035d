"""redis-cli and redis-benchmark, whole: each test of the benchmark by name, and what redis-cli can do beyond a command."""

import json
import re
import subprocess

from fetch import run

title = "redis-cli and redis-benchmark"
# `redis-cli --rdb` asks for a replica's stream.
route = """
allow = ["psync", "replconf", "sync"]
"""

BENCHMARKS = ["ping_inline", "ping_mbulk", "set", "get", "incr", "lpush", "rpush", "lpop", "rpop", "sadd", "hset", "spop", "zadd",
              "zpopmin", "lrange_100", "lrange_300", "lrange_500", "lrange_600", "mset"]


def prepare():
    return re.search(r"redis-cli (\S+)", run("redis-cli", "--version"))[1]


class Tools:
    def __init__(self, place):
        self.place = place

    def cli(self, *words, stdin=b"", seconds=20):
        command = ["redis-cli", "-h", self.place.host, "-p", str(self.place.port), *map(str, words)]
        done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds)
        return done.returncode, done.stdout.decode(errors="replace")

    def says(self, *words, stdin=b"", exactly=None, within=None):
        code, output = self.cli(*words, stdin=stdin)
        assert code == 0, f"exit code {code}: {output[:300]}"
        if exactly is not None:
            assert output.strip() == exactly, f"{output.strip()[:300]!r} and not {exactly!r}"
        for part in within or []:
            assert part in output, f"no {part!r} in {output[-300:]!r}"
        return output

    def some_time(self, *words, seconds=2):
        """What a mode that never ends prints until it is ended."""
        command = ["redis-cli", "-h", self.place.host, "-p", str(self.place.port), *map(str, words)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            output, _ = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            child.terminate()
            output, _ = child.communicate()
        return output.decode(errors="replace")

    def benchmark(self, *words):
        command = ["redis-benchmark", "-h", self.place.host, "-p", str(self.place.port), *map(str, words)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        output = done.stdout.decode(errors="replace")
        assert done.returncode == 0, output[-300:]
        assert "Error" not in output and "ERR" not in output, output[:300]
        return output


def benchmarks(tools):
    """Name → what to do, which raises when it is not as it should be."""
    def csv(words, rows=None):
        output = tools.benchmark("-n", 2000, "-c", 20, "--csv", *words)
        lines = [line for line in output.splitlines() if re.match(r'"[^"]+","[0-9.]+"', line)]
        assert len(lines) == (rows or len(lines)) and lines, output[-300:]

    for name in BENCHMARKS:
        test = name.replace("lrange_", "lrange,lrange_") if name.startswith("lrange") else name
        yield f"redis-benchmark -t {name}", lambda test=test: csv(["-t", test])
        yield f"redis-benchmark -t {name} -P 16 -r 1000", lambda test=test: csv(["-t", test, "-P", 16, "-r", 1000])
    yield "redis-benchmark, all", lambda: csv([], rows=20)
    yield "redis-benchmark, all, -P 16", lambda: csv(["-P", 16], rows=20)
    yield "redis-benchmark --threads 2", lambda: csv(["-t", "set,get", "--threads", 2], rows=2)
    yield "redis-benchmark -k 0", lambda: csv(["-t", "set", "-k", 0], rows=1)
    yield "redis-benchmark -d 100000", lambda: csv(["-t", "set,get", "-d", 100000], rows=2)
    yield "redis-benchmark --dbnum 3", lambda: csv(["-t", "set,get", "--dbnum", 3], rows=2)
    yield "redis-benchmark -3", lambda: csv(["-t", "set,get,lrange_100", "-3"])
    yield "redis-benchmark eval", lambda: csv(["eval", "return redis.call('incr', KEYS[1])", 1, "bench:__rand_int__"], rows=1)
    yield "redis-benchmark --enable-tracking", lambda: csv(["-t", "set,get", "--enable-tracking"], rows=2)


def commands(tools):
    says = tools.says

    def pipe():
        count = 5000
        lines = b"".join(b"SET pipe:%d %d\r\n" % (i, i) for i in range(count))
        says("--pipe", stdin=lines, within=[f"errors: 0, replies: {count}"])
        says("GET", "pipe:4999", exactly="4999")

    def scan():
        output = says("--scan", "--pattern", "pipe:*")
        assert sorted(output.split()) == sorted(f"pipe:{i}" for i in range(5000)), f"{len(output.split())} keys"

    def monitor():
        import threading
        timer = threading.Timer(0.7, lambda: tools.cli("SET", "seen", "by-monitor"))
        timer.start()
        output = tools.some_time("MONITOR")
        timer.join()
        assert '"SET" "seen" "by-monitor"' in output, output[:300]

    def subscribe():
        import threading
        timer = threading.Timer(0.7, lambda: tools.cli("PUBLISH", "news", "hello"))
        timer.start()
        output = tools.some_time("SUBSCRIBE", "news")
        timer.join()
        assert "hello" in output, output[:300]

    def evaluated():
        path = tools.place.folder / "script.lua"
        path.write_text("return {KEYS[1], ARGV[1]}")
        says("--eval", path, "k", ",", "v", exactly="k\nv")

    def dialog():
        session = b"MULTI\nSET {d}a 1\nINCR {d}a\nEXEC\nSELECT 3\nSET inthree 1\nSELECT 0\nEXISTS inthree\n"
        says(stdin=session, exactly="OK\nQUEUED\nQUEUED\nOK\n2\nOK\nOK\nOK\n0")

    def latency():
        output = tools.some_time("--latency", "--raw")
        assert re.match(r"\d+ \d+ [0-9.]+ \d+", output), output[:200]

    def statistics():
        output = tools.some_time("--stat", "-i", "0.3")
        assert len(re.findall(r"^\d+ +\S+[KMG] ", output, re.M)) >= 3, output[:300]

    yield "redis-cli PING", lambda: says("PING", exactly="PONG")
    yield "redis-cli PING x", lambda: says("PING", "x", exactly="x")
    yield "redis-cli, a dialog on stdin", dialog
    yield "redis-cli --no-raw", lambda: says("--no-raw", "RPUSH", "list", "a", "b", exactly="(integer) 2")
    yield "redis-cli --no-raw LRANGE", lambda: says("--no-raw", "LRANGE", "list", "0", "-1", exactly='1) "a"\n2) "b"')
    yield "redis-cli --csv", lambda: says("--csv", "LRANGE", "list", "0", "-1", exactly='"a","b"')
    yield "redis-cli --json", lambda: says("--json", "LRANGE", "list", "0", "-1", exactly='["a","b"]')
    yield "redis-cli -3 --json, a map", lambda: (says("HSET", "hash", "f", "1"), says("-3", "--json", "HGETALL", "hash", exactly='{"f":"1"}'))
    yield "redis-cli --quoted-input", lambda: says("--quoted-input", "SET", r'"bin\x00ary"', "v", exactly="OK")
    yield "redis-cli -x", lambda: (says("-x", "SET", "fromstdin", stdin=b"from stdin", exactly="OK"), says("GET", "fromstdin", exactly="from stdin"))
    yield "redis-cli -X", lambda: (says("-X", "tag", "SET", "tagged", "tag", stdin=b"value", exactly="OK"), says("GET", "tagged", exactly="value"))
    yield "redis-cli -n", lambda: (says("-n", 2, "SET", "two", "2", exactly="OK"), says("-n", 2, "GET", "two", exactly="2"), says("GET", "two", exactly=""))
    yield "redis-cli -u", lambda: says("-u", f"redis://{tools.place.host}:{tools.place.port}/2", "GET", "two", exactly="2")
    yield "redis-cli -r -i", lambda: says("-r", 3, "-i", "0.05", "INCR", "repeated", exactly="1\n2\n3")
    yield "redis-cli -e", lambda: assert_code(tools.cli("-e", "INCR", "list"), 1, "WRONGTYPE")
    yield "redis-cli --eval", evaluated
    yield "redis-cli --pipe", pipe
    yield "redis-cli --scan", scan
    yield "redis-cli --bigkeys", lambda: says("--bigkeys", within=["Biggest   list found", "Sampled 50"])
    yield "redis-cli --memkeys", lambda: says("--memkeys", within=["Sampled 50"])
    yield "redis-cli --hotkeys", lambda: (says("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu", exactly="OK"), says("--hotkeys", within=["Sampled 50"]), says("CONFIG", "SET", "maxmemory-policy", "noeviction", exactly="OK"))
    yield "redis-cli --stat", statistics
    yield "redis-cli --latency", latency
    yield "redis-cli --latency-history", lambda: assert_within(tools.some_time("--latency-history", "-i", "1", seconds=3), r"min: \d+, max: \d+")
    yield "redis-cli --latency-dist", lambda: assert_within(tools.some_time("--latency-dist", "-i", "1", seconds=3), r"-{5}")
    yield "redis-cli SUBSCRIBE", subscribe
    yield "redis-cli MONITOR", monitor
    yield "redis-cli INFO", lambda: says("INFO", "server", within=["redis_version:"])
    yield "redis-cli COMMAND DOCS", lambda: assert_docs(says("-3", "--json", "COMMAND", "DOCS", "GET"))
    yield "redis-cli OBJECT HELP", lambda: says("OBJECT", "HELP", within=["ENCODING"])
    yield "redis-cli --functions-rdb", lambda: (says("--functions-rdb", tools.place.folder / "functions.rdb"), None)
    yield "redis-cli --rdb", lambda: (says("--rdb", tools.place.folder / "dump-from-cli.rdb", within=["Transfer finished"]), None)
    yield "redis-cli --replica", lambda: assert_within(tools.some_time("--replica", seconds=4), "SYNC with master")


def assert_code(outcome, code, part):
    assert outcome[0] == code and part in outcome[1], outcome


def assert_within(output, pattern):
    assert re.search(pattern, output), output[:300]


def assert_docs(output):
    assert json.loads(output)["get"]["since"] == "1.0.0", output[:200]


def cases(place):
    tools, results = Tools(place), {}
    for name, check in [*commands(tools), *benchmarks(tools)]:
        try:
            check()
            results[name] = None
        except (AssertionError, subprocess.TimeoutExpired, ValueError) as failed:
            results[name] = str(failed) or "failed"
    return results
