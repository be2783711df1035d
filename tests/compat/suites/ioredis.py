"""ioredis has no tests in its package: a driver of our own for what its README offers."""

from fetch import node_app, npm

title = "ioredis, a driver of ours"
VERSION = "6.0.0"


def prepare():
    modules()
    return VERSION


def modules():
    return npm(f"ioredis-{VERSION}", f"ioredis@{VERSION}")


def cases(place):
    return node_app(place, modules(), "ioredis_app.mjs")
