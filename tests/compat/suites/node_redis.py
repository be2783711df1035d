"""node-redis has no tests in its package: a driver of our own, in RESP2 and RESP3."""

from fetch import node_app, npm

title = "node-redis, a driver of ours (RESP2 and RESP3)"
VERSION = "6.3.1"


def prepare():
    modules()
    return VERSION


def modules():
    return npm(f"redis-{VERSION}", f"redis@{VERSION}")


def cases(place):
    results = {}
    for protocol in (2, 3):
        place.flush()
        found = node_app(place, modules(), "node_redis_app.mjs", more=[protocol])
        results.update({f"RESP{protocol}: {name}": why for name, why in found.items()})
    return results
