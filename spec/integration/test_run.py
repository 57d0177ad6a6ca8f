"""tools/run: starts everything, prints commands to try, and removes everything, however it ends."""
import argparse
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import threading
import urllib.request
import uuid

import pytest
import run as tools_run
import run_example
from harness import expectations
from stack import ROOT, tethered, wait_until
from views import differences

pytestmark = pytest.mark.xdist_group("tools-run")  # one at a time: they share .run/
RUN = ROOT / "tools/run"


class Run:
    """tools/run in a terminal's stead; its processes carry a mark in their environment."""

    def __init__(self, *options, **env):
        self.mark = f"RUN_MARK={uuid.uuid4()}"
        name, value = self.mark.split("=")
        self.process = subprocess.Popen(
            [RUN, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=os.environ | {name: value} | env, start_new_session=True)
        self.text = ""
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.text += line

    def wait_for(self, text):
        wait_until(f"{text!r} in {self.text}",
                   lambda: text in self.text or self.process.poll() is not None)
        assert text in self.text, self.text

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.wait()

    def wait(self):
        status = self.process.wait(60)
        self.reader.join()
        return status

    def living(self):
        """What still runs, by its mark: process id and command line."""
        found = []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (folder / "environ").read_bytes():
                    found.append((folder.name, (folder / "cmdline").read_bytes()))
            except OSError:
                continue  # it has ended, or is not ours
        return found

    def commands(self, word):
        return [line.strip() for line in self.text.splitlines()
                if line.startswith("  ") and word in line]

    def url(self, name):
        return re.search(rf"{name} +(\S+)", self.text)[1]


@pytest.fixture
def run():
    runs = []

    def start(*options, **env):
        runs.append(Run(*options, **env))
        return runs[-1]

    yield start
    for started in runs:
        if started.process.poll() is None:
            started.end(signal.SIGKILL)
        wait_until("the end of every process", lambda: not started.living())


def test_help_says_what_the_flags_do():
    shown = subprocess.run([RUN, "--help"], capture_output=True, text=True, check=True).stdout
    assert all(flag in shown for flag in ("--keep", "--postgres", "--redis", "--kafka"))
    wrong = subprocess.run([RUN, "--fast"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "--fast" in wrong.stderr


def test_the_printed_commands_answer_with_the_samples(run):
    started = run()
    started.wait_for("every sample event is in the view")
    status, listed = started.commands("curl -s -H")
    answer = json.loads(subprocess.run(shlex.split(status), capture_output=True, check=True).stdout)
    assert differences(expectations("current")[answer["batch_id"]], answer) == []
    assert len(json.loads(subprocess.run(shlex.split(listed), capture_output=True,
                                         check=True).stdout)["batches"]) == 2
    ready = started.commands("readyz")[0]
    assert b'"healthy"' in subprocess.run(shlex.split(ready), capture_output=True,
                                          check=True).stdout
    rejected = subprocess.run(shlex.split(started.commands("psql")[0]), capture_output=True,
                              text=True, check=True).stdout
    assert "(14 rows)" in rejected
    listed = started.commands("rejected list")[0]
    rejected = subprocess.run(listed, shell=True, cwd=ROOT, capture_output=True, text=True,
                              check=True).stdout
    assert rejected.endswith("\n14 rejected events\n")
    asked = subprocess.run(started.commands("aggregator status")[0] + " --json", shell=True, cwd=ROOT,
                           capture_output=True, check=True).stdout
    assert json.loads(asked)["outbox"]["publishes"]
    tried = subprocess.run(started.commands("aggregator try")[0] + " --json", shell=True, cwd=ROOT,
                           capture_output=True, check=True).stdout
    assert differences(expectations("current")[answer["batch_id"]],
                       json.loads(json.loads(tried)["body"])) == []
    assert re.search(r"^\[ *\d+\.\d s\] ready$", started.text, re.M), started.text
    data = (ROOT / ".run/pgdata").resolve()
    assert started.end() == 130
    assert started.living() == []
    assert not data.exists() and not (ROOT / ".run/pgdata").is_symlink()
    assert not (ROOT / ".run/env").exists()


def test_a_program_that_is_not_ready_says_why():
    """For example, while no migration makes a table of the view."""
    body = {"dependencies": {"database": {"status": "healthy"}, "redis": {"status": "unknown"},
                             "kafka": {"status": "unhealthy", "reason": "waits for the database: table x"}}}
    assert tools_run.reasons(json.dumps(body)) == "redis: unknown; kafka: waits for the database: table x"
    assert tools_run.reasons(b"") == "it does not answer"


@pytest.mark.parametrize("parent, status", [(os.getpid(), 0), (1, 1)], ids=["lives", "is gone"])
def test_a_child_is_started_only_while_its_parent_lives(parent, status):
    assert subprocess.run(tethered(["true"], parent=parent), check=False).returncode == status


@pytest.mark.parametrize("text, number, status", [
    ("building", signal.SIGTERM, 143), ("building", signal.SIGKILL, -9),
    ("Postgres ", signal.SIGINT, 130), ("Redis ", signal.SIGKILL, -9),
    ("Kafka ", signal.SIGTERM, 143), ("program ", signal.SIGKILL, -9)])
def test_a_stop_during_the_start_leaves_nothing(run, text, number, status):
    started = run("--no-samples")
    started.wait_for(text)
    assert started.end(number) == status
    wait_until("the end of every process", lambda: not started.living(), 10)


def test_keep_keeps_the_data_for_the_next_start(run):
    first = run("--keep")
    first.wait_for("232 of  232 events processed")
    assert first.end(signal.SIGTERM) == 143
    second = run("--no-samples")
    second.wait_for("try, in another terminal")
    status = second.commands("curl -s -H")[0]
    answer = json.loads(subprocess.run(shlex.split(status), capture_output=True, check=True).stdout)
    assert differences(expectations("current")[answer["batch_id"]], answer) == []
    second.end()


def test_a_program_that_dies_is_reported_with_its_last_lines(run):
    started = run("--no-samples")
    started.wait_for("try, in another terminal")
    program = next(int(number) for number, command in started.living()
                   if command.endswith(b"aggregator\0run\0"))
    os.kill(program, signal.SIGKILL)
    assert started.wait() == 1
    assert "Aggregator ended with status -9" in started.text
    assert '"message":"running"' in started.text
    assert started.living() == []


def test_unreachable_brokers_are_reported(run):
    started = run("--kafka", "127.0.0.1:1")
    assert started.wait() == 1
    assert "cannot create the topics on 127.0.0.1:1" in started.text
    assert started.living() == []


def test_a_program_that_cannot_start_is_reported(run):
    started = run("--no-samples", INGEST_WORKERS="none")
    assert started.wait() == 1
    assert "ingest.workers" in started.text
    assert started.living() == []


def test_a_second_run_in_one_checkout_is_refused(run):
    first = run("--no-samples")
    first.wait_for("try, in another terminal")
    second = run("--no-samples")
    assert second.wait() == 1
    assert "another tools/run" in second.text
    assert first.end() == 130


def test_flags_point_at_servers_of_ones_own(run, make_service, cleanup, apache):
    service = make_service(cleanup, apache, migrate=False)
    started = run("--postgres", service.database_url, "--redis", service.redis_url, "--kafka",
                  service.kafka.brokers)
    started.wait_for("every sample event is in the view")
    assert (started.url("Postgres"), started.url("Redis"), started.url("Kafka")) == (
        service.database_url, service.redis_url, service.kafka.brokers)
    names = {pathlib.Path(command.split(b"\0")[0].decode()).name
             for _, command in started.living()}
    assert "aggregator" in names and names.isdisjoint(
        {"postgres", "redis-server", "mock_kafka"})
    assert started.end() == 130
    assert service.query("SELECT 1 FROM batch_results WHERE registration_at IS NOT NULL")
    assert service.redis.running() and service.kafka.running()


def test_another_service_runs_with_its_generator(run):
    started = run("--service", "examples/fleet")
    started.wait_for("shows them")
    one, depot, trips, _, _, register = [line for line in started.commands("curl -s") if "/v1/" in line]
    for command in (one, depot, trips):
        wait_until(command, lambda: json.loads(subprocess.run(
            shlex.split(command), capture_output=True, check=True).stdout).get("error") is None)
    registered = subprocess.run(shlex.split(register), capture_output=True, text=True, check=True).stdout
    assert "202 Accepted" in registered and "Location: /v1/vehicles/van-1" in registered
    page = re.search(r"http://\S+(?= shows them)", started.text)[0]
    assert "<title>Depots</title>" in urllib.request.urlopen(page).read().decode()
    status = started.commands("aggregator status")[0]
    assert subprocess.run(status, shell=True, cwd=ROOT, capture_output=True, text=True,
                          check=True).stdout.startswith("READY  fleet ")
    assert started.end() == 130
    assert started.living() == []


def test_a_folder_without_a_service_is_refused(run):
    started = run("--service", "docs")
    assert started.wait() == 1
    assert f"--service docs: {ROOT}/docs has no config.lua" in started.text


def test_run_json_may_be_absent_and_a_wrong_key_is_refused_with_those_that_there_are(tmp_path):
    (tmp_path / "config.lua").write_text("return {}")
    assert run_example.read_about(tmp_path) == run_example.DEFAULTS
    for wrong in ('{"generators": []}', '{"try": "curl"}', '{"headers": {}}', '[]', '{'):
        (tmp_path / "run.json").write_text(wrong)
        refused = subprocess.run([RUN, "--service", tmp_path], capture_output=True, text=True, check=False)
        assert refused.returncode == 1 and f"{tmp_path}/run.json: " in refused.stderr, refused.stderr
        assert "Traceback" not in refused.stderr
        assert wrong == "{" or "generator and try, lists of texts" in refused.stderr
    (tmp_path / "run.json").write_text('{"try": ["curl {base}/x"]}')
    example = run_example.Example(argparse.Namespace(service=tmp_path))
    assert example.commands("http://h") == ["curl http://h/x"]
    assert example.feed(None).startswith("no generator")
