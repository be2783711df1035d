"""Celery, broker and result backend, at its work."""

import os

from fetch import app, venv

title = "Celery"
VERSION = "5.7.0"


def prepare():
    python()
    return VERSION


def python():
    return venv(f"celery-{VERSION}", f"celery[redis]=={VERSION}")


def cases(place):
    return app(place, [python(), "celery_app.py"], env=os.environ | {"COMPAT_HOST": place.host, "COMPAT_PORT": str(place.port)})
