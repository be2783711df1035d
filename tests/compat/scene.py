"""What does a run stand on? Real servers, and the proxy before two of them, on loopback; ended with the run, by pid."""

import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = Path(os.environ.get("COMPAT_CACHE", ROOT / "target" / "compat"))
WAYS = ["direct", "0", "100", "50"]

# The guard watches and does not act: suites put servers to sleep and kill their connections on purpose.
CONFIG = """
[proxy]
workers = {workers}
admin_socket = "{folder}/admin.sock"
metrics_listen = ""
state_dir = "{folder}/state"

[[route]]
name = "main"
listen = ["127.0.0.1:{port}"]
old = "redis://127.0.0.1:{old}"
new = "redis://127.0.0.1:{new}"
weight = {weight}
"""
QUIET_RULES = [
    "unreachable",
    "heartbeat_delay",
    "link_down",
    "resync_loop",
    "replica_flap",
    "offset_lag",
    "output_buffer",
    "memory_cap",
]


def config_of(folder, port, old, new, weight, more=""):
    # 0, which is the default: one a core.
    workers = int(os.environ.get("WORKERS", 0))
    config = CONFIG.format(workers=workers, folder=folder, port=port, old=old, new=new, weight=float(weight))
    return config + more + "".join(f'[route.guard.{rule}]\naction = "off"\n' for rule in QUIET_RULES)


def proxy_binary():
    asked = os.environ.get("SWITCHBACK")
    found = [Path(asked)] if asked else [ROOT / "target" / kind / "switchback" for kind in ("release", "debug")]
    found = [path for path in found if path.exists()]
    if not found:
        raise SystemExit("no proxy to run: cargo build first, or set SWITCHBACK")
    return max(found, key=lambda path: path.stat().st_mtime)


def free_ports(count):
    """Below those that the system gives out: a suite that asks it for a free one must not be given one of these meanwhile."""
    found = []
    while len(found) < count:
        port = random.randrange(11_000, 20_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


def ask(port, *words, path=None, timeout=5):
    """One command, its reply's first line as text, or a bulk string whole."""
    if path:
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(timeout)
        link.connect(str(path))
    else:
        link = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    with link:
        link.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in map(str.encode, words)))
        reply = link.makefile("rb")
        line = reply.readline().decode().rstrip()
        return reply.read(int(line[1:])).decode() if line.startswith("$") else line


def wait_until(check, what, patience=15):
    end = time.monotonic() + patience
    while True:
        try:
            if check():
                return
        except OSError:
            pass
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {patience} s")
        time.sleep(0.02)


@dataclass
class Place:
    """Where a suite's client connects to, and what it may want to know besides."""

    way: str
    port: int
    folder: Path
    nodes: list
    host: str = "127.0.0.1"

    @property
    def wanted_weight(self):
        return None if self.way == "direct" else f"{float(self.way):.2f}"

    def weight(self):
        return None if self.way == "direct" else ask(0, "WEIGHT", "main", path=self.folder / "admin.sock")

    def flush(self):
        for node in self.nodes:
            ask(node, "FLUSHALL")

    def run(self, command, seconds, **options):
        """Runs `command`, bounded; its output goes to the run's folder and is returned. Its whole group ends with it."""
        log = self.folder / "output.txt"
        with open(log, "wb") as output:
            child = subprocess.Popen(
                [str(word) for word in command], stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                start_new_session=True, **options,
            )
            try:
                child.wait(seconds)
            except subprocess.TimeoutExpired:
                output.write(f"\nended after {seconds} s\n".encode())
            finally:
                try:
                    os.killpg(child.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                child.wait()
        return child.returncode, log.read_text(errors="replace")


@contextmanager
def scene(way, folder, server_options=(), more=""):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    children = []

    def start(name, command):
        with open(folder / f"{name}.log", "wb") as log:
            children.append(subprocess.Popen(
                [str(word) for word in command], stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=folder,
            ))

    def server(name, port):
        # A folder of its own, as two write a dump.rdb, which a suite may look for.
        files = folder / name
        files.mkdir()
        start(name, ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", files,
                     "--enable-debug-command", "yes", "--unixsocket", folder / f"{name}.sock", *server_options])
        wait_until(lambda: ask(port, "PING").startswith(("+PONG", "-NOAUTH")), f"redis-server {name}")

    try:
        port, old, new = free_ports(3)
        if way == "direct":
            server("server", port)
            nodes = [port]
        else:
            server("old", old)
            server("new", new)
            (folder / "config.toml").write_text(config_of(folder, port, old, new, way, more))
            start("proxy", [proxy_binary(), "run", "--config", folder / "config.toml"])
            wait_until(lambda: ask(port, "PING") == "+PONG", "the proxy")
            nodes = [old, new]
        yield Place(way, port, folder, nodes)
        if any(child.poll() is not None for child in children):
            raise RuntimeError(f"a server or the proxy has ended before the suite did: see {folder}")
    finally:
        for child in reversed(children):
            child.terminate()
        for child in children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextmanager
def unix_door(place):
    """A unix socket that leads to the same address, for suites that insist on one: bytes are handed on as they come."""
    path = place.folder / "door.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(64)

    def hand_on(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def serve():
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection((place.host, place.port))
            except OSError:
                return
            for pair in ((client, server), (server, client)):
                threading.Thread(target=hand_on, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield path
    finally:
        listener.close()
