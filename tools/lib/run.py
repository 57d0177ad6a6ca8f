#!/usr/bin/python3
"""run: builds and starts the service with private servers, publishes the sample streams, prints
commands to try, and removes everything on Ctrl-C. tools/run calls it when all packages are installed."""
import argparse
import contextlib
import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
import time

import stack

BUILD = stack.ROOT / "build"
OUT = stack.ROOT / ".run"
STREAMS = ("current", "first", "first-unlinked", "current-hard")
EVENTS_PER_SECOND = 100
STARTED = time.monotonic()
ENV = OUT / "env"
# Variables by which commands find the running servers.
EXPORTED = ("RESULT_AGGREGATOR_SERVICE_DATABASE_URL", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS",
        "KAFKA_CONSUMER_GROUP_ID", "ADMIN_SOCKET", "HULEEDU_INTERNAL_API_KEY", "HOST", "PORT")


class Failure(Exception):
    """An error to print before the shutdown."""


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="tools/run", description="Runs the whole service on this machine: Postgres, Redis, an "
        "embedded Kafka, the program, and the sample streams. It uses free ports; Ctrl-C stops and "
        "removes everything.", epilog="Logs and data are in .run/. PORT, HULEEDU_INTERNAL_API_KEY and "
        "every other variable that config.lua reads may be set.")
    parser.add_argument("--keep", action="store_true",
                        help="keeps Postgres' data for the next start")
    parser.add_argument("--postgres", metavar="URL",
                        help="uses your database; the migrations are applied to it")
    parser.add_argument("--redis", metavar="URL", help="uses your Redis; none: without Redis")
    parser.add_argument("--kafka", metavar="BROKERS",
                        help="uses your Kafka; missing topics are created")
    parser.add_argument("--no-samples", action="store_true",
                        help="publishes no sample events")
    return parser.parse_args()


def say(text):
    print(f"[{time.monotonic() - STARTED:5.1f} s] {text}", flush=True)


class Service:
    """All processes; `cleanup`, an ExitStack, stops them in reverse order."""

    def __init__(self, arguments, cleanup):
        self.arguments = arguments
        self.cleanup = cleanup
        self.processes = []
        self.program = None
        self.postgres = arguments.postgres
        self.redis = arguments.redis
        self.kafka = arguments.kafka
        self.api_key = os.environ.get("HULEEDU_INTERNAL_API_KEY", "dev-key")

    def start_one(self, process):
        self.processes.append(process)
        self.cleanup.callback(process.stop)
        return process.start()

    def start_servers(self):
        if not self.postgres:
            cluster = stack.Postgres(OUT)
            if not self.arguments.keep:
                self.cleanup.callback(cluster.remove)
            self.start_one(cluster)
            self.postgres = cluster.create_database("ras")
        say(f"Postgres  {self.postgres}")
        if not self.redis:
            self.redis = self.start_one(stack.Redis(OUT)).url
        say(f"Redis     {self.redis}")
        if self.kafka:
            make_topics(self.kafka)
        else:
            self.kafka = self.start_one(stack.EmbeddedKafka(OUT, BUILD)).brokers
            # A new broker starts at offset 0: a new group has no older offsets in the database.
            os.environ.setdefault("KAFKA_CONSUMER_GROUP_ID", f"tools-run-{time.time_ns()}")
        say(f"Kafka     {self.kafka}")

    def start_program(self):
        environment = {"HULEEDU_INTERNAL_API_KEY": self.api_key}
        program = stack.Aggregator(OUT, BUILD, self.postgres, self.redis, self.kafka, environment)
        if "PORT" in os.environ:
            program.port = int(os.environ["PORT"])
            program.env["PORT"] = os.environ["PORT"]
        self.write_env(program.env)
        migration = program.command("migrate", check=False)
        (OUT / "migrate.log").write_text(migration.stderr)
        if migration.returncode != 0:
            raise Failure(f"the migrations failed:\n{migration.stderr}")
        self.program = self.start_one(program)
        say(f"program   http://127.0.0.1:{program.port}")

    def write_env(self, env):
        """Writes a file for shells, which is removed with the servers."""
        ENV.write_text("".join(f"export {name}={shlex.quote(env[name])}\n"
                               for name in EXPORTED if name in env))
        self.cleanup.callback(ENV.unlink, missing_ok=True)

    def check_alive(self):
        for process in self.processes:
            if not process.running():
                name = type(process).__name__
                raise Failure(f"{name} ended with status {process.process.returncode}; the last "
                              f"lines of {process.log}:\n{stack.tail(process.log)}")

    def counts(self):
        return (int(self.program.metric("ras_messages_processed_total")),
                int(self.program.metric("ras_invalid_messages_total")))

    def feed_samples(self):
        read = set(stack.topics())
        total = 0
        for stream in STREAMS:
            total += count_events(stream, read - {stack.UNREAD_TOPIC})
            feeder = stack.feed(BUILD, self.kafka, stream, EVENTS_PER_SECOND, wait=False)
            self.cleanup.callback(feeder.wait)
            self.cleanup.callback(feeder.kill)
            while feeder.poll() is None or self.counts()[0] < total:
                self.check_alive()
                self.show_progress(stream, total)
                time.sleep(0.2)
            if feeder.returncode != 0:
                raise Failure(f"publishing {stream}.jsonl failed")
            self.show_progress(stream, total, end="\n")

    def show_progress(self, stream, total, end=""):
        if end or sys.stdout.isatty():
            processed, rejected = self.counts()
            print(f"\r[{time.monotonic() - STARTED:5.1f} s] {stream + '.jsonl':20} "
                  f"{processed:4} of {total:4} events processed, {rejected:2} of them rejected",
                  end=end, flush=True)


def make_topics(brokers):
    try:
        stack.create_topics(BUILD, brokers)
    except subprocess.CalledProcessError as error:
        raise Failure(f"cannot create the topics on {brokers}: check that the brokers run") from error


def count_events(stream, topics):
    with open(stack.SAMPLES / f"{stream}.jsonl", encoding="utf-8") as lines:
        return sum(json.loads(line)["topic"] in topics for line in lines)


def show_commands(service):
    batches = json.loads((stack.SAMPLES / "current.expected.json").read_text())
    batch_id, batch = next(iter(batches.items()))
    base = f"http://127.0.0.1:{service.program.port}"
    headers = f"-H 'X-Internal-API-Key: {service.api_key}' -H 'X-Service-ID: api-gateway-service'"
    coming = "" if service.arguments.no_samples else " (the samples arrive in the next seconds)"
    print(f"""
try, in another terminal{coming}:

  curl -s {headers} {base}/internal/v1/batches/{batch_id}/status
  curl -s {headers} '{base}/internal/v1/batches/user/{batch['user_id']}?limit=2'
  curl -s {base}/readyz
  curl -s {base}/metrics | grep ras_messages
  psql '{service.postgres}' -c 'SELECT topic, reason, detail FROM aggregator_state.rejected_events'
  tail -f {service.program.log}

commands of the program, in another terminal:

  . .run/env && build/aggregator status
  . .run/env && build/aggregator outbox list
  . .run/env && build/aggregator rejected list

logs are in {OUT}; Ctrl-C stops and removes everything
""", flush=True)


def build():
    """The build is a child that dies with this process, like the servers."""
    say("building (once; later only what changed)")
    command = [stack.ROOT / "tools/lib/build.sh", BUILD, "-DCMAKE_BUILD_TYPE=Release"]
    process = subprocess.Popen(stack.tethered(command, signal_name="TERM"),
                               env=os.environ | {"TARGETS": "aggregator mock_kafka feed"})
    try:
        if process.wait() != 0:
            raise Failure("the build failed")
    finally:
        process.terminate()
        process.wait()


def lock_folder():
    """Prevents a second run on the same .run/. The lock ends with this process."""
    OUT.mkdir(exist_ok=True)
    lock = open(OUT / "lock", "w", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise Failure("another tools/run is running in this checkout") from error
    for log in OUT.glob("*.log"):
        log.unlink()
    return lock


def take_down(service, cleanup):
    """Stops all in order; kills all on a second signal."""
    def kill_all(*_):
        for process in service.processes:
            process.kill()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, kill_all)
    print()
    say("stopping everything")
    cleanup.close()
    say("done" + (f": the data stays in {OUT}" if service.arguments.keep else ""))


def interrupt(number, _):
    raise SystemExit(128 + number)


def serve(service):
    """Ends by an exception only: a Failure or a signal."""
    service.start_servers()
    service.start_program()
    show_commands(service)
    if not service.arguments.no_samples:
        service.feed_samples()
        say("every sample event is in the view")
    while True:
        service.check_alive()
        time.sleep(0.2)


def main():
    arguments = parse_arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        lock = lock_folder()
        with lock:
            build()
            cleanup = contextlib.ExitStack()
            service = Service(arguments, cleanup)
            try:
                serve(service)
            finally:
                take_down(service, cleanup)
    except (Failure, AssertionError, subprocess.CalledProcessError) as error:
        print(f"tools/run: {error}", file=sys.stderr, flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
