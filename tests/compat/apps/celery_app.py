"""Celery does its work: results, chains, groups, chords, retries, failures, countdowns, revocation; each task once."""

import os
import subprocess
import sys
import time
from datetime import timedelta

from celery import Celery, chain, chord, group
from redis import Redis

HOST, PORT = os.environ["COMPAT_HOST"], int(os.environ["COMPAT_PORT"])
app = Celery("celery_app", broker=f"redis://{HOST}:{PORT}/0", backend=f"redis://{HOST}:{PORT}/1")
app.conf.update(
    broker_connection_retry_on_startup=True, worker_hijack_root_logger=False, task_track_started=True,
    result_expires=timedelta(hours=1), task_default_queue="compat", broker_transport_options={"visibility_timeout": 3600},
)
TASKS = 200


def link():
    return Redis(HOST, PORT, 2)


@app.task
def add(a, b):
    link().hincrby("ran", f"{a}+{b}", 1)
    return a + b


@app.task
def total(numbers):
    link().hincrby("ran", "total", 1)
    return sum(numbers)


@app.task
def broken():
    raise ValueError("on purpose")


@app.task(bind=True, max_retries=5)
def unsteady(self):
    if link().hincrby("ran", "unsteady", 1) < 3:
        raise self.retry(countdown=0.1)
    return "at last"


def main():
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "--concurrency", "2", "--loglevel", "WARNING", "-E"],
        stdin=subprocess.DEVNULL)

    def check(name, good, seen=""):
        print(f"{'ok' if good else 'not ok'} {name}" + ("" if good else f" -- {str(seen)[:300]}"), flush=True)

    def attempt(name, make):
        try:
            make()
        except Exception as failed:
            check(name, False, repr(failed))
        else:
            check(name, True)

    def equal(result, wanted):
        got = result.get(timeout=30)
        assert got == wanted, f"{got} and not {wanted}"

    def all_once():
        results = [add.delay(n, n) for n in range(TASKS)]
        for n, result in enumerate(results):
            equal(result, 2 * n)
        ran = {key.decode(): int(value) for key, value in link().hgetall("ran").items()}
        assert all(ran.get(f"{n}+{n}") == 1 for n in range(TASKS)), ran

    def failure():
        result = broken.delay()
        try:
            result.get(timeout=30)
        except ValueError as failed:
            assert "on purpose" in str(failed)
            assert result.status == "FAILURE", result.status
        else:
            raise AssertionError("it did not fail")

    def countdown():
        began = time.monotonic()
        equal(add.apply_async((7000, 1), countdown=1.5), 7001)
        assert time.monotonic() - began > 1.4, "too early"

    def revoked():
        result = add.apply_async((8000, 1), countdown=2)
        result.revoke()
        try:
            result.get(timeout=30)
        except Exception as failed:
            assert type(failed).__name__ == "TaskRevokedError", repr(failed)
        else:
            raise AssertionError("it ran")

    def inspected():
        answer = app.control.inspect(timeout=5).ping()
        assert answer and all(one == {"ok": "pong"} for one in answer.values()), answer

    def prioritized():
        results = [add.apply_async((9000 + n, 1), priority=n % 10) for n in range(20)]
        for n, result in enumerate(results):
            equal(result, 9001 + n)

    def forgotten():
        result = add.delay(1, 9999)
        equal(result, 10000)
        result.forget()
        assert add.AsyncResult(result.id).status == "PENDING", "it is still known"

    try:
        attempt("every task once, results right", all_once)
        attempt("a chain", lambda: equal(chain(add.s(1, 2), add.s(3), add.s(4)).delay(), 10))
        attempt("a group", lambda: equal(group(add.s(1000 + n, 1) for n in range(20)).delay(), [1001 + n for n in range(20)]))
        attempt("a chord", lambda: equal(chord((add.s(2000 + n, 0) for n in range(20)), total.s()).delay(), sum(2000 + n for n in range(20))))
        attempt("chords in a chain", lambda: equal(chain(group(add.s(3000, 1), add.s(3001, 1)), total.s(), add.s(1)).delay(), 6004))
        attempt("a failure is a failure", failure)
        attempt("a retry in the end", lambda: equal(unsteady.delay(), "at last"))
        attempt("a countdown", countdown)
        attempt("a revocation", revoked)
        attempt("inspection (fanout)", inspected)
        attempt("priorities", prioritized)
        attempt("a forgotten result", forgotten)
        check("nothing is left in the queue", app.connection().default_channel.client.llen("compat") == 0)
    finally:
        worker.terminate()
        try:
            worker.wait(20)
            check("the worker ends", True)
        except subprocess.TimeoutExpired:
            worker.kill()
            check("the worker ends", False, "killed")


if __name__ == "__main__":
    from celery_app import main  # so that tasks have the worker's names
    main()
