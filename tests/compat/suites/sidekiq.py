"""Sidekiq, with Debian's redis gem, at its work."""

from fetch import app, debian

title = "Sidekiq, on Ruby's redis"


def prepare():
    sidekiq, redis = debian("ruby-sidekiq", "ruby-redis")
    return f"{sidekiq.partition('+')[0]}, redis {redis.partition('-')[0]}"


def cases(place):
    return app(place, ["ruby", "sidekiq_app.rb"])
