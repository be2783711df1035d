# The jobs, as the worker process loads them.
require "sidekiq"

URL = { url: "redis://#{ENV.fetch("COMPAT_HOST")}:#{ENV.fetch("COMPAT_PORT")}/0" }
Sidekiq.configure_server { |config| config.redis = URL; config.average_scheduled_poll_interval = 1 }
Sidekiq.configure_client { |config| config.redis = URL }

module Told
  def self.ran(what)
    Sidekiq.redis { |link| link.hincrby("compat:ran", what, 1) }
  end
end

class Square
  include Sidekiq::Job
  def perform(number)
    Told.ran("square:#{number}")
    Sidekiq.redis { |link| link.hset("compat:results", number.to_s, (number * number).to_s) }
  end
end

class Unsteady
  include Sidekiq::Job
  sidekiq_options retry: 5
  sidekiq_retry_in { 0 }
  def perform
    raise "not yet" if Told.ran("unsteady") < 2
  end
end

class Broken
  include Sidekiq::Job
  sidekiq_options retry: 0
  def perform
    Told.ran("broken")
    raise "on purpose"
  end
end
