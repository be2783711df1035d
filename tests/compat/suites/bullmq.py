"""BullMQ, at its work; at 50 a queue needs a hash tag in its prefix, as BullMQ asks for with Redis Cluster too."""

from fetch import node_app, npm

title = "BullMQ (at 50 with a hash tag as prefix)"
VERSION = "6.7.0"


def prepare():
    modules()
    return VERSION


def modules():
    return npm(f"bullmq-{VERSION}", f"bullmq@{VERSION}", "ioredis@5.11.1")


def cases(place):
    return node_app(place, modules(), "bullmq_app.mjs", more=["{bull}" if place.way == "50" else "bull"])
