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
from run_example import Example
from run_samples import Samples

BUILD = stack.ROOT / "build"
OUT = stack.ROOT / ".run"
STARTED = time.monotonic()
READY_S = 10
READINESS_EACH_S = 5
ENV = OUT / "env"


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
                        help="publishes no events")
    parser.add_argument("--service", metavar="FOLDER",
                        help="runs another service, such as examples/fleet, as its run.json says")
    return parser.parse_args()


def say(text):
    print(f"[{time.monotonic() - STARTED:5.1f} s] {text}", flush=True)


class Run:
    """All processes; `cleanup`, an ExitStack, stops them in reverse order."""

    build = BUILD

    def __init__(self, arguments, service, cleanup):
        self.arguments, self.service = arguments, service
        self.cleanup = cleanup
        self.processes = []
        self.program = None
        self.readiness = self.said = ""
        self.postgres = arguments.postgres
        self.redis = arguments.redis
        self.kafka = arguments.kafka

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
            self.postgres = cluster.create_database(self.service.database)
        say(f"Postgres  {self.postgres}")
        if not self.redis:
            self.redis = self.start_one(stack.Redis(OUT)).url
        say(f"Redis     {self.redis}")
        if self.kafka:
            make_topics(self.kafka, self.service.topics)
        else:
            self.kafka = self.start_one(stack.EmbeddedKafka(OUT, BUILD, self.service.topics)).brokers
            # A new broker starts at offset 0: a new group has no older offsets in the database.
            os.environ.setdefault(self.service.group_variable, f"tools-run-{time.time_ns()}")
        say(f"Kafka     {self.kafka}")

    def start_program(self):
        program = self.service.program(OUT, BUILD, self.postgres, self.redis, self.kafka)
        if "PORT" in os.environ:
            program.port = int(os.environ["PORT"])
            program.env[self.service.port_variable] = os.environ["PORT"]
        self.write_env(program.env)
        migration = program.command("migrate", check=False)
        (OUT / "migrate.log").write_text(migration.stderr)
        if migration.returncode != 0:
            raise Failure(f"the migrations failed:\n{migration.stderr}")
        self.program = self.start_one(program)
        say(f"program   http://127.0.0.1:{program.port}")
        until = time.monotonic() + READY_S
        while not self.is_ready() and time.monotonic() < until:
            self.check_alive()
            time.sleep(0.1)
        self.say_readiness()

    def is_ready(self):
        status, body, _ = self.program.get("/readyz")
        self.readiness = "ready" if status == 200 else f"not ready: {reasons(body)}"
        return status == 200

    def say_readiness(self):
        """Says it again only after it has changed."""
        if self.readiness != self.said:
            self.said = self.readiness
            say(self.said)

    def write_env(self, env):
        """Writes a file for shells, which is removed with the servers."""
        known = {name: env[name] for name in self.service.exported if name in env}
        known["TOOLS_RUN_ENV"] = str(ENV)  # so that commands need not name the file
        ENV.write_text("".join(f"export {name}={shlex.quote(value)}\n"
                               for name, value in known.items()))
        self.cleanup.callback(ENV.unlink, missing_ok=True)

    def check_alive(self):
        for process in self.processes:
            if not process.running():
                name = type(process).__name__
                raise Failure(f"{name} ended with status {process.process.returncode}; the last "
                              f"lines of {process.log}:\n{stack.tail(process.log)}")
        if ended := self.service.ended():
            raise Failure(f"{ended} publishes no more")

    def counts(self):
        return (int(self.program.metric("ras_messages_processed_total")),
                int(self.program.metric("ras_invalid_messages_total")))

    def watch(self, done, progress=None):
        """Returns when done(); shows the progress in a terminal, and at the end."""
        while not done():
            self.check_alive()
            self.show(progress)
            time.sleep(0.2)
        self.show(progress, end="\n")

    def show(self, progress, end=""):
        if progress and (end or sys.stdout.isatty()):
            print(f"\r[{time.monotonic() - STARTED:5.1f} s] {progress()}", end=end, flush=True)


def make_service(arguments):
    if not arguments.service:
        return Samples(arguments)
    try:
        return Example(arguments)
    except (OSError, ValueError) as error:
        raise Failure(f"--service {arguments.service}: {error}") from error


def make_topics(brokers, names):
    try:
        stack.create_topics(BUILD, brokers, names)
    except subprocess.CalledProcessError as error:
        raise Failure(f"cannot create the topics on {brokers}: check that the brokers run") from error


def reasons(body):
    """Why the program is not ready, of the body of /readyz."""
    try:
        dependencies = json.loads(body)["dependencies"]
    except (ValueError, KeyError):
        return "it does not answer"
    return "; ".join(f"{name}: {state.get('reason', state['status'])}"
                     for name, state in dependencies.items() if state["status"] != "healthy")


def show_commands(run):
    base = f"http://127.0.0.1:{run.program.port}"
    coming = "" if run.arguments.no_samples else " (the events arrive in the next seconds)"
    commands = "\n  ".join(run.service.commands(base))
    print(f"""
try, in another terminal{coming}:

  {commands}
  curl -s {base}/readyz
  curl -s {base}/metrics | grep _messages
  psql '{run.postgres}' -c 'SELECT topic, reason, detail FROM aggregator_state.rejected_events'
  tail -f {run.program.log}

commands of the program, in another terminal, once `. .run/env` has set the addresses there:

  . .run/env && build/aggregator status
  . .run/env && build/aggregator rejected list
  . .run/env && build/aggregator outbox list
  . .run/env && build/aggregator tap
  . .run/env && build/aggregator reload

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


def take_down(run, cleanup):
    """Stops all in order; kills all on a second signal."""
    def kill_all(*_):
        for process in run.processes:
            process.kill()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, kill_all)
    print()
    say("stopping everything")
    cleanup.close()
    say("done" + (f": the data stays in {OUT}" if run.arguments.keep else ""))


def interrupt(number, _):
    raise SystemExit(128 + number)


def serve(run):
    """Ends by an exception only: a Failure or a signal."""
    run.start_servers()
    run.start_program()
    show_commands(run)
    if not run.arguments.no_samples:
        say(run.service.feed(run))
    asked = time.monotonic()
    while True:
        run.check_alive()
        if time.monotonic() - asked > READINESS_EACH_S:
            run.is_ready()
            run.say_readiness()
            asked = time.monotonic()
        time.sleep(0.2)


def main():
    arguments = parse_arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        service = make_service(arguments)
        lock = lock_folder()
        with lock:
            build()
            cleanup = contextlib.ExitStack()
            run = Run(arguments, service, cleanup)
            try:
                serve(run)
            finally:
                take_down(run, cleanup)
    except (Failure, AssertionError, subprocess.CalledProcessError) as error:
        print(f"tools/run: {error}", file=sys.stderr, flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
