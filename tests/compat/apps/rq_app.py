"""RQ does its work: jobs with results, failures, retries, dependencies, a schedule, a group's meta; each is run once."""

import logging
import multiprocessing
import sys
import time
from datetime import timedelta

from redis import Redis
from rq import Queue, Retry, SimpleWorker, Worker
from rq.registry import FailedJobRegistry, FinishedJobRegistry

HOST, PORT = sys.argv[1], int(sys.argv[2])
JOBS = 200


def link():
    return Redis(HOST, PORT)


def square(number):
    link().hincrby("{ran}", f"square:{number}", 1)
    return number * number


def broken():
    raise ValueError("on purpose")


def unsteady():
    if link().hincrby("{ran}", "unsteady", 1) < 3:
        raise ValueError("not yet")
    return "at last"


def total(*ids):
    from rq.job import Job
    return sum(Job.fetch(one, connection=link()).return_value() for one in ids)


def work(kind, scheduler):
    logging.disable(logging.CRITICAL)
    kind(["compat"], connection=link()).work(with_scheduler=scheduler, max_idle_time=4)


def main():
    queue = Queue("compat", connection=link())
    jobs = [queue.enqueue(square, number) for number in range(JOBS)]
    failing = queue.enqueue(broken)
    retried = queue.enqueue(unsteady, retry=Retry(max=5))
    summed = queue.enqueue(total, *[job.id for job in jobs[:10]], depends_on=jobs[:10])
    later = queue.enqueue_in(timedelta(seconds=1), square, JOBS)
    many = queue.enqueue_many([Queue.prepare_data(square, (JOBS + 1 + i,)) for i in range(20)])

    workers = [multiprocessing.Process(target=work, args=(kind, i == 0)) for i, kind in enumerate([SimpleWorker, SimpleWorker, Worker])]
    for worker in workers:
        worker.start()
    everything = [*jobs, failing, retried, summed, later, *many]
    end = time.monotonic() + 60
    while time.monotonic() < end and not all(job.get_status(refresh=True) in ("finished", "failed") for job in everything):
        time.sleep(0.1)
    for worker in workers:
        worker.join(20)

    def check(name, good, seen):
        print(f"{'ok' if good else 'not ok'} {name}" + ("" if good else f" -- {str(seen)[:300]}"), flush=True)

    ran = {key.decode(): int(value) for key, value in link().hgetall("{ran}").items()}
    values = [job.return_value() for job in jobs]
    check("every job's result", values == [n * n for n in range(JOBS)], values)
    check("every job once", all(ran.get(f"square:{n}") == 1 for n in range(JOBS)), ran)
    check("enqueue_many", [job.return_value() for job in many] == [(JOBS + 1 + i) ** 2 for i in range(20)], many)
    check("a failure is a failure", failing.get_status() == "failed" and failing.id in FailedJobRegistry(queue=queue), failing.get_status())
    check("a retry in the end", retried.return_value() == "at last" and ran.get("unsteady") == 3, (retried.get_status(), ran.get("unsteady")))
    check("a dependency", summed.return_value() == sum(n * n for n in range(10)), summed.get_status())
    check("a schedule", later.return_value() == JOBS * JOBS, later.get_status())
    finished = FinishedJobRegistry(queue=queue).get_job_ids()
    check("the registry", len(finished) == len(everything) - 1, len(finished))
    check("the queue is empty", len(queue) == 0, len(queue))
    check("workers said goodbye", Worker.count(connection=link()) == 0, Worker.count(connection=link()))


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    from rq_app import main  # RQ runs nothing of a module that is __main__
    main()
