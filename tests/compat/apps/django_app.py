"""Django's Redis cache, cached sessions, django-redis, and channels_redis do their work."""

import asyncio
import sys
import threading
import time

import django
from django.conf import settings

HOST, PORT = sys.argv[1], int(sys.argv[2])
URL = f"redis://{HOST}:{PORT}"
TAG = "{compat}" if len(sys.argv) > 3 and sys.argv[3] == "tagged" else ""
settings.configure(
    CACHES={
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": f"{URL}/1"},
        "other": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"{URL}/2"},
    },
    CHANNEL_LAYERS={
        "default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [(HOST, PORT)], "prefix": f"{TAG}asgi"}},
        "pubsub": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [(HOST, PORT)]}},
    },
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    INSTALLED_APPS=["django.contrib.sessions"],
)
django.setup()

from channels.layers import channel_layers  # noqa: E402
from django.contrib.sessions.backends.cache import SessionStore  # noqa: E402
from django.core.cache import caches  # noqa: E402


def check(name, body):
    try:
        body()
    except Exception as failed:
        print(f"not ok {name} -- {' '.join(repr(failed).split())[:300]}", flush=True)
    else:
        print(f"ok {name}", flush=True)


def equal(got, wanted):
    assert got == wanted, f"{str(got)[:150]} and not {str(wanted)[:150]}"


def cache_checks(alias):
    cache = caches[alias]

    def values():
        for value in (1, 1.5, "text", b"bytes\r\n\x00", ["list"], {"dict": None}, None, True):
            cache.set("value", value)
            equal(cache.get("value", "default"), value)
        equal(cache.get("none", "default"), "default")

    def many():
        wanted = {f"many:{i}": i for i in range(500)}
        equal(cache.set_many(wanted) or [], [])
        equal(cache.get_many(wanted), wanted)
        cache.delete_many(list(wanted)[:100])
        equal(len(cache.get_many(wanted)), 400)

    def counting():
        cache.set("count", 0)
        threads = [threading.Thread(target=lambda: [cache.incr("count") for _ in range(50)]) for _ in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        equal(cache.get("count"), 400)
        equal(cache.decr("count", 400), 0)

    def adding():
        equal([cache.add("added", i) for i in range(3)], [True, False, False])
        equal(cache.get("added"), 0)

    def expiring():
        cache.set("short", "x", timeout=1)
        equal(cache.get("short"), "x")
        end = time.monotonic() + 5
        while cache.get("short") is not None:
            assert time.monotonic() < end, "it stays"
            time.sleep(0.05)
        cache.set("touched", "x", timeout=1)
        assert cache.touch("touched", 60)
        time.sleep(1.2)
        equal(cache.get("touched"), "x")

    def versions():
        cache.set("versioned", "one", version=1)
        cache.set("versioned", "two", version=2)
        equal((cache.get("versioned", version=1), cache.get("versioned", version=2)), ("one", "two"))
        cache.set("moving", "x", version=1)
        cache.incr_version("moving", version=1)
        equal((cache.get("moving", version=1), cache.get("moving", version=2)), (None, "x"))

    def large():
        cache.set("large", b"x" * 20_000_000)
        equal(len(cache.get("large")), 20_000_000)

    def get_or_set():
        equal(cache.get_or_set("made", lambda: "made"), "made")
        equal(cache.get_or_set("made", lambda: "again"), "made")

    def has_and_clear():
        cache.set("present", 1)
        assert "present" in cache and cache.delete("present") and "present" not in cache and not cache.delete("present")
        cache.set("present", 1)
        cache.clear()
        equal(cache.get("present"), None)

    for body in (values, many, counting, adding, expiring, versions, large, get_or_set, has_and_clear):
        check(f"{alias} cache: {body.__name__}", body)


def sessions():
    session = SessionStore()
    session["user"] = "somebody"
    session.save()
    key = session.session_key
    equal(SessionStore(key)["user"], "somebody")
    session.cycle_key()
    assert session.session_key != key and not SessionStore().exists(key)
    session.flush()


def django_redis_extras():
    cache = caches["other"]
    cache.set_many({f"pattern:{i}": i for i in range(50)})
    equal(len(cache.keys("pattern:*")), 50)
    equal(len(list(cache.iter_keys("pattern:*"))), 50)
    equal(cache.delete_pattern("pattern:*"), 50)
    with cache.lock("locked", timeout=5):
        assert not cache.lock("locked", timeout=5).acquire(blocking=False)
    assert cache.lock("locked", timeout=5).acquire(blocking=False)
    cache.set("ttl", 1, timeout=100)
    assert 90 < cache.ttl("ttl") <= 100


def layer_checks(alias):
    layer = channel_layers[alias]

    async def one_to_one():
        channel = await layer.new_channel()
        for i in range(100):
            await layer.send(channel, {"type": "number", "i": i})
        equal([(await asyncio.wait_for(layer.receive(channel), 5))["i"] for _ in range(100)], list(range(100)))

    async def group():
        channels = [await layer.new_channel() for _ in range(10)]
        for channel in channels:
            await layer.group_add("group", channel)
        for i in range(50):
            await layer.group_send("group", {"type": "number", "i": i})
        for channel in channels:
            equal([(await asyncio.wait_for(layer.receive(channel), 5))["i"] for _ in range(50)], list(range(50)))
        for channel in channels[5:]:
            await layer.group_discard("group", channel)
        await layer.group_send("group", {"type": "last"})
        for channel in channels[:5]:
            equal((await asyncio.wait_for(layer.receive(channel), 5))["type"], "last")
        for channel in channels[5:]:
            try:
                await asyncio.wait_for(layer.receive(channel), 0.1)
            except asyncio.TimeoutError:
                continue
            raise AssertionError("it left the group, and hears it")

    async def waiting():
        channel = await layer.new_channel()
        receiving = asyncio.ensure_future(layer.receive(channel))
        await asyncio.sleep(0.2)
        await layer.send(channel, {"type": "late"})
        equal((await asyncio.wait_for(receiving, 5))["type"], "late")

    async def flush():
        await layer.flush()

    def bounded(body):
        async def whole():
            try:
                await asyncio.wait_for(body(), 30)
            finally:
                await layer.close_pools() if hasattr(layer, "close_pools") else None
        asyncio.run(whole())

    for body in (one_to_one, group, waiting, flush):
        check(f"{alias} layer: {body.__name__}", lambda body=body: bounded(body))


for each in ("default", "other"):
    cache_checks(each)
check("sessions", sessions)
check("django-redis: keys, patterns, locks", django_redis_extras)
for each in ("default", "pubsub"):
    layer_checks(each)
