# Sidekiq does its work: jobs, bulk, a schedule, a retry, a job that dies, what its API tells; each job is done once.
ENV["COMPAT_HOST"], ENV["COMPAT_PORT"] = ARGV
require_relative "sidekiq_jobs"
require "sidekiq/api"

JOBS = 300

def check(name)
  yield
  puts "ok #{name}"
rescue StandardError => failed
  puts "not ok #{name} -- #{failed.message.gsub(/\s+/, " ")[0, 300]}"
ensure
  $stdout.flush
end

def wait_until(what, seconds = 25)
  stop = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
  until yield
    raise "#{what}: not within #{seconds} s" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > stop
    sleep 0.05
  end
end

def equal(got, wanted)
  raise "#{got.inspect[0, 200]} and not #{wanted.inspect[0, 200]}" unless got == wanted
end

def ran(what) = Sidekiq.redis { |link| link.hget("compat:ran", what) }.to_i

worker = spawn("sidekiq", "-c", "5", "-r", File.expand_path("sidekiq_jobs.rb", __dir__), out: File::NULL, err: File::NULL)
begin
  check("every job once, results right") do
    (0...JOBS / 2).each { |number| Square.perform_async(number) }
    Square.perform_bulk((JOBS / 2...JOBS).map { |number| [number] })
    wait_until("all results") { Sidekiq.redis { |link| link.hlen("compat:results") } == JOBS }
    results = Sidekiq.redis { |link| link.hgetall("compat:results") }
    (0...JOBS).each { |number| equal(results[number.to_s], (number * number).to_s) }
    (0...JOBS).each { |number| equal(ran("square:#{number}"), 1) }
  end
  check("a schedule") do
    Square.perform_in(1, JOBS)
    equal(Sidekiq::ScheduledSet.new.size, 1)
    wait_until("the scheduled job") { ran("square:#{JOBS}") == 1 }
    equal(Sidekiq::ScheduledSet.new.size, 0)
  end
  check("a retry in the end") do
    Unsteady.perform_async
    wait_until("the second try", 40) { ran("unsteady") == 2 }
    wait_until("no retries left") { Sidekiq::RetrySet.new.size == 0 }
  end
  check("a job that fails for good") do
    Broken.perform_async
    wait_until("the job") { ran("broken") == 1 }
    wait_until("its failure") { Sidekiq::Stats.new.failed >= 2 }
  end
  check("statistics") do
    wait_until("all processed") { Sidekiq::Stats.new.processed >= JOBS + 4 }
    equal(Sidekiq::Queue.new.size, 0)
    equal(Sidekiq::ProcessSet.new.size, 1)
  end
  check("a queue that is cleared") do
    Sidekiq::Client.push("class" => "Square", "queue" => "idle", "args" => [1])
    equal(Sidekiq::Queue.new("idle").size, 1)
    equal(Sidekiq::Queue.new("idle").first.args, [1])
    Sidekiq::Queue.new("idle").clear
    equal(Sidekiq::Queue.new("idle").size, 0)
  end
  check("the worker is told to stop, and says goodbye") do
    Sidekiq::ProcessSet.new.each(&:stop!)
    wait_until("its end") { Process.wait(worker, Process::WNOHANG) }
    worker = nil
    equal(Sidekiq::ProcessSet.new.size, 0)
  end
ensure
  if worker
    Process.kill(:KILL, worker)
    Process.wait(worker)
  end
end
