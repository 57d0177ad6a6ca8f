"""The Debian package on a machine of its own, with real servers beside it: installed, configured as
docs/operate/install.md says, upgraded with its data, removed. Each test continues where the one before it
ended. tools/package --test runs it, as root.
"""
import contextlib
import json
import os
import pathlib
import re
import sys
import threading
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/lib"))

import machine as machines  # noqa: E402
import servers  # noqa: E402
import stack  # noqa: E402

PACKAGES = ROOT / "build/package"
KEY = "package-key"
HEADERS = {"X-Internal-API-Key": KEY, "X-Service-ID": "admin-dashboard-service"}
NEWEST = os.environ.get("PACKAGE_NEW")  # the versions, which tools/package --test sets
FORMER = os.environ.get("PACKAGE_OLD")


@pytest.fixture(scope="module")
def cleanup():
    with contextlib.ExitStack() as stack_:
        yield stack_


@pytest.fixture(scope="module")
def beside(cleanup, tmp_path_factory):
    """The variables that name the servers, and Kafka itself."""
    folder = tmp_path_factory.mktemp("servers")
    names = servers.start(folder, cleanup)
    kafka = stack.EmbeddedKafka(folder, ROOT / "build")
    cleanup.callback(kafka.stop)
    kafka.start()
    url = stack.create_database(names["PG_TEST_URL"], "package")
    return {"RESULT_AGGREGATOR_SERVICE_DATABASE_URL": url, "REDIS_URL": names["REDIS_TEST_URL"],
            "KAFKA_BOOTSTRAP_SERVERS": kafka.brokers, "HULEEDU_INTERNAL_API_KEY": KEY,
            "KAFKA_SESSION_TIMEOUT_MS": "6000", "HOST": "127.0.0.1", "PORT": str(stack.free_port())}


@pytest.fixture(scope="module")
def machine(cleanup, tmp_path_factory):
    made = machines.Machine(tmp_path_factory.mktemp("machine"),
                            machines.make_base(PACKAGES / "base.tar"), PACKAGES / "archives")
    cleanup.callback(made.stop)
    made.start()
    made.run("apt-get", "update", "-q")
    made.before = files_of(made)
    return made


def package(version):
    path, = PACKAGES.glob(f"aggregator_{version}_*.deb")
    return path


def files_of(machine):
    """Every path of the machine, without what the kernel and systemd make while it runs."""
    found = machine.run("find", "/", "-xdev", "(", "-path", "/proc", "-o", "-path", "/sys", "-o",
                        "-path", "/run", "-o", "-path", "/tmp", ")", "-prune", "-o", "-print")
    return set(found.stdout.splitlines())


def get(beside, path):
    """(status, body); status 0: no response."""
    url = f"http://127.0.0.1:{beside['PORT']}{path}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=HEADERS), timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def main_pid(machine):
    return machine.run("systemctl", "show", "--property=MainPID", "--value", "aggregator").stdout.strip()


def wait_ready(beside):
    stack.wait_until("readiness", lambda: get(beside, "/readyz")[0] == 200)


@pytest.fixture(scope="module")
def batch():
    expected = json.loads((stack.SAMPLES / "current.expected.json").read_text())
    return next(iter(expected))


def test_it_installs_with_its_dependencies_and_starts_nothing(machine):
    machine.install(package(FORMER))
    assert machine.run("aggregator", "--version").stdout == f"aggregator {FORMER}\n"
    assert machine.run("systemctl", "is-enabled", "aggregator", check=False).stdout == "disabled\n"
    assert machine.run("systemctl", "is-active", "aggregator", check=False).stdout == "inactive\n"


def test_only_root_and_its_group_read_the_passwords(machine):
    assert machine.run("stat", "-c", "%A %U %G", "/etc/aggregator/environment").stdout == \
        "-rw-r----- root aggregator\n"


def test_the_migrations_are_applied_by_an_operators_command(machine, beside):
    text = "".join(f"{name}={value}\n" for name, value in beside.items())
    machine.run("tee", "-a", "/etc/aggregator/environment", input=text)
    applied = machine.run("runuser", "-u", "aggregator", "--", "aggregator", "migrate").stdout
    assert re.match(r"\d+ migrations applied", applied)
    machine.run("aggregator", "check")


def test_the_service_becomes_ready_and_a_sample_event_reaches_the_view(machine, beside, batch):
    machine.run("systemctl", "enable", "--now", "aggregator")
    wait_ready(beside)
    stack.feed(ROOT / "build", beside["KAFKA_BOOTSTRAP_SERVERS"], "current")
    stack.wait_until("the batch", lambda: get(beside, f"/internal/v1/batches/{batch}/status")[0] == 200)


def test_the_service_has_no_rights(machine):
    status = machine.run("cat", f"/proc/{main_pid(machine)}/status").stdout
    values = dict(re.findall(r"^(\w+):\s+(.*)$", status, re.M))
    assert values["CapEff"] == values["CapBnd"] == "0" * 16
    assert (values["NoNewPrivs"], values["Seccomp"]) == ("1", "2")
    assert values["Uid"].split()[1] == machine.run("id", "-u", "aggregator").stdout.strip()


def test_systemd_reloads_it(machine):
    machine.run("systemctl", "reload", "aggregator")
    assert machine.run("systemctl", "is-active", "aggregator").stdout == "active\n"
    json.loads(machine.run("aggregator", "status").stdout)


def test_a_reload_with_a_wrong_configuration_is_refused_and_the_service_goes_on(machine, beside):
    config = machine.root / "etc/aggregator/config.lua"
    text = config.read_text()
    config.write_text(text.replace("return {", "return { http = { threads = 'x' },"))
    assert machine.run("systemctl", "reload", "aggregator", check=False).returncode != 0
    config.write_text(text)
    assert get(beside, "/readyz")[0] == 200


class Requests:
    """Requests, one after another, until the block ends; `failed` has those without a 200."""

    def __init__(self, beside, path):
        self.beside, self.path = beside, path
        self.count, self.failed, self.ended = 0, [], threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ended.is_set():
            status, body = get(self.beside, self.path)
            self.count += 1
            if status != 200:
                self.failed.append((status, body))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def test_an_upgrade_hands_over_without_a_failed_request_and_keeps_the_data(machine, beside, batch):
    pid = main_pid(machine)
    path = f"/internal/v1/batches/{batch}/status"
    answer = get(beside, path)
    with Requests(beside, path) as requests:
        machine.install(package(NEWEST))
        stack.wait_until("the new program", lambda: main_pid(machine) not in (pid, "0"))
        wait_ready(beside)
    assert requests.failed == []
    assert requests.count > 0
    assert machine.run("aggregator", "--version").stdout == f"aggregator {NEWEST}\n"
    assert f'"program_version":"{NEWEST}"' in machine.run("aggregator", "status").stdout
    assert get(beside, path) == answer
    assert machine.run("systemctl", "is-active", "aggregator").stdout == "active\n"


def test_an_upgrade_migrates_if_the_operator_asked_for_it(machine):
    machine.run("tee", "-a", "/etc/aggregator/environment", input="MIGRATE_ON_UPGRADE=yes\n")
    said = machine.install("--reinstall", package(NEWEST)).stdout
    assert "0 migrations applied" in said


def test_the_configuration_of_the_site_survives_a_removal(machine, beside):
    machine.run("apt-get", "remove", "-y", "aggregator")
    assert get(beside, "/healthz")[0] == 0
    assert "PORT=" in machine.run("cat", "/etc/aggregator/environment").stdout


def test_a_purge_leaves_nothing_but_the_database(machine, beside):
    machine.run("apt-get", "purge", "-y", "--autoremove", "aggregator")
    owned = set(machine.run("bash", "-c", "cat /var/lib/dpkg/info/*.list").stdout.splitlines())
    left = {path for path in files_of(machine) - machine.before - owned
            if not path.startswith(("/var/lib/dpkg/", "/var/log/", "/var/cache/", "/root/"))}
    assert left == set()
    assert machine.run("getent", "passwd", "aggregator", check=False).stdout == ""
    rows = stack.subprocess.run(
        ["psql", "-qXAt", beside["RESULT_AGGREGATOR_SERVICE_DATABASE_URL"], "-c",
         "SELECT count(*) FROM batch_results"], check=True, capture_output=True, text=True).stdout
    assert int(rows) > 0
