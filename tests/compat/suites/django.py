"""Django's cache and sessions, django-redis and channels_redis, at their work; at 50 with a hash tag as the layer's prefix."""

from fetch import app, venv

title = "Django's cache, django-redis, channels_redis (at 50 with a hash tag as its prefix)"
VERSION = "5.2.19"


def prepare():
    python()
    return f"{VERSION}, 7.0.0, 4.3.0"


def python():
    return venv(f"django-{VERSION}", f"django=={VERSION}", "django-redis==7.0.0", "channels-redis==4.3.0")


def cases(place):
    return app(place, [python(), "django_app.py"], more=["tagged" if place.way == "50" else "plain"])
