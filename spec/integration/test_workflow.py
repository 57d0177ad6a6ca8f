"""The workflow of docs/TESTING.md: a service's own CI, run on examples/fleet without this tree."""
import os
import re
import shutil
import subprocess
import uuid

import pytest
import stack
import yaml
from stack import ROOT

PAGE = (ROOT / "docs/TESTING.md").read_text()
JOB = yaml.safe_load(re.search(r"^```yaml\n(.*?)^```", PAGE, re.S | re.M)[1])["jobs"]["scripts"]
COMMANDS = [step["run"] for step in JOB["steps"] if "run" in step]


class Runner:
    """A copy of the example with a database of its own, and the program in PATH, as on a runner."""

    def __init__(self, folder, build, postgres_url):
        self.folder = folder / "service"
        shutil.copytree(ROOT / "examples/fleet", self.folder)
        (folder / "bin").mkdir()
        (folder / "bin/aggregator").symlink_to(build / "aggregator")
        url = stack.create_database(postgres_url, f"workflow_{uuid.uuid4().hex}")
        assert list(JOB["env"]) == ["AGGREGATOR_POSTGRES_URL", "AGGREGATOR_HTTP_API_KEYS"]
        self.env = os.environ | JOB["env"] | {
            "AGGREGATOR_POSTGRES_URL": url,
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}

    def run(self, command):
        return subprocess.run(command, shell=True, cwd=self.folder, env=self.env, capture_output=True,
                              text=True, check=False)


@pytest.fixture
def runner(build, postgres_url, tmp_path):
    return Runner(tmp_path, build, postgres_url)


def test_its_commands_pass_for_a_service_without_mistakes(runner):
    installed, commands = COMMANDS[:2], COMMANDS[2:]
    assert installed == ["apt-get update", "apt-get install -y ./aggregator_*.deb lua-busted lua-check"]
    assert len(commands) == 4
    for command in commands:
        done = runner.run(command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert "::warning" not in done.stdout, (command, done.stdout)


def test_its_check_annotates_a_mistake(runner):
    path = runner.folder / "scripts/handlers/trip_ended.lua"
    path.write_text(path.read_text().replace("distance_km = event.distance_km", "km = event.distance_km"))
    assert runner.run(COMMANDS[-2]).returncode == 0
    checked = runner.run(COMMANDS[-1])
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if "{ km" in text)
    assert checked.returncode == 1
    assert (f"::error title=scripts,file=scripts/handlers/trip_ended.lua,line={line}::group trips.finish has "
            "no column \"km\"") in checked.stdout, checked.stdout


def test_the_commands_of_its_page_work(runner):
    page = (runner.folder / "README.md").read_text()
    commands = re.findall(r"^    \.\./\.\./build/(aggregator [^#\n]*[^# \n])", page, re.M)
    assert len(commands) == 5, commands
    for command in commands:
        done = runner.run(command.replace(" --watch", ""))
        assert done.returncode == 0, (command, done.stdout, done.stderr)
