"""RQ, at its work."""

from fetch import app, venv

title = "RQ"
VERSION = "2.12.0"


def prepare():
    python()
    return VERSION


def python():
    return venv(f"rq-{VERSION}", f"rq=={VERSION}", "redis==8.1.0")


def cases(place):
    return app(place, [python(), "rq_app.py"])
