"""socket.io's Redis adapter, and its sharded one, at their work."""

from fetch import node_app, npm

title = "socket.io's Redis adapters"
VERSION = "8.3.0"


def prepare():
    modules()
    return VERSION


def modules():
    return npm(f"socket-io-{VERSION}", f"@socket.io/redis-adapter@{VERSION}", "socket.io@4.8.4", "socket.io-client@4.8.4", "redis@6.3.1")


def cases(place):
    return node_app(place, modules(), "socket_io_app.mjs")
