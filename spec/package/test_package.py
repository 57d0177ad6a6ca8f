"""The Debian package on a machine of its own: installed and configured by the commands of
docs/operate/install.md, upgraded with its data, removed. Postgres and Redis are Debian's, in the machine;
Kafka is beside it. Each test continues where the one before it ended. tools/package --test runs it, as root.
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
import stack  # noqa: E402

PACKAGES = ROOT / "build/package"
PAGE = ROOT / "docs/operate/install.md"
SERVICE = "http://127.0.0.1:4003"
NEWEST = os.environ.get("PACKAGE_NEW")  # the versions, which tools/package --test sets
FORMER = os.environ.get("PACKAGE_OLD")


@pytest.fixture(scope="module")
def cleanup():
    with contextlib.ExitStack() as stack_:
        yield stack_


@pytest.fixture(scope="module")
def brokers(cleanup, tmp_path_factory):
    kafka = stack.EmbeddedKafka(tmp_path_factory.mktemp("kafka"), ROOT / "build")
    cleanup.callback(kafka.stop)
    return kafka.start().brokers


@pytest.fixture(scope="module")
def machine(cleanup, tmp_path_factory):
    taken = [port for port in (4003, 5432, 6379) if stack.accepts(port)]
    assert not taken, f"the machine shares the network: what listens on port {taken} must stop"
    made = machines.Machine(tmp_path_factory.mktemp("machine"),
                            machines.make_base(PACKAGES / "base.tar"), PACKAGES / "archives")
    cleanup.callback(made.stop)
    made.start()
    return made


def package(version):
    path, = PACKAGES.glob(f"aggregator_{version}_*.deb")
    return path


def files_of(machine):
    """Every path of the machine, without what the kernel and systemd make while it runs."""
    found = machine.run("find", "/", "-xdev", "(", "-path", "/proc", "-o", "-path", "/sys", "-o",
                        "-path", "/run", "-o", "-path", "/tmp", ")", "-prune", "-o", "-print")
    return set(found.stdout.splitlines())


def get(machine, path):
    """(status, body); status 0: no response."""
    key = re.search("^HULEEDU_INTERNAL_API_KEY=(.*)", environment(machine).read_text(), re.M).group(1)
    headers = {"X-Internal-API-Key": key, "X-Service-ID": "admin-dashboard-service"}
    try:
        request = urllib.request.Request(SERVICE + path, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def environment(machine):
    return machine.root / "etc/aggregator/environment"


def main_pid(machine):
    return machine.run("systemctl", "show", "--property=MainPID", "--value", "aggregator").stdout.strip()


def wait_ready(machine):
    stack.wait_until("readiness", lambda: get(machine, "/readyz")[0] == 200)


@pytest.fixture(scope="module")
def path():
    """Of the status of a batch of the sample events."""
    batch = next(iter(json.loads((stack.SAMPLES / "current.expected.json").read_text())))
    return f"/internal/v1/batches/{batch}/status"


def test_it_installs_with_its_dependencies_and_starts_nothing(machine):
    machine.run("apt-get", "update", "-q")
    machine.install(package(FORMER))
    assert machine.run("aggregator", "--version").stdout == f"aggregator {FORMER}\n"
    assert machine.run("systemctl", "is-enabled", "aggregator", check=False).stdout == "disabled\n"
    assert machine.run("systemctl", "is-active", "aggregator", check=False).stdout == "inactive\n"


def test_only_root_and_its_group_read_the_passwords(machine):
    assert machine.run("stat", "-c", "%A %U %G", "/etc/aggregator/environment").stdout == \
        "-rw-r----- root aggregator\n"


def test_the_commands_of_the_page_lead_to_a_served_request(machine, brokers):
    script = "cd /root\n" + "\n".join(re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.M | re.S))
    assert "kafka.example:9092" in script
    said = machine.run("bash", "-euo", "pipefail", "-c", script.replace("kafka.example:9092", brokers))
    assert "problem" not in said.stdout and '"error"' in said.stdout.splitlines()[-1]


def test_a_sample_event_reaches_the_view(machine, brokers, path):
    wait_ready(machine)
    stack.feed(ROOT / "build", brokers, "current")
    stack.wait_until("the batch", lambda: get(machine, path)[0] == 200)


def test_the_service_has_no_rights(machine):
    status = machine.run("cat", f"/proc/{main_pid(machine)}/status").stdout
    values = dict(re.findall(r"^(\w+):\s+(.*)$", status, re.M))
    assert values["CapEff"] == values["CapBnd"] == "0" * 16
    assert (values["NoNewPrivs"], values["Seccomp"]) == ("1", "2")
    assert values["Uid"].split()[1] == machine.run("id", "-u", "aggregator").stdout.strip()


def test_systemd_reloads_it(machine):
    machine.run("systemctl", "reload", "aggregator")
    assert machine.run("systemctl", "is-active", "aggregator").stdout == "active\n"
    json.loads(machine.run("aggregator", "status", "--json", check=False).stdout)


def test_a_reload_with_a_wrong_configuration_is_refused_and_the_service_goes_on(machine):
    config = machine.root / "etc/aggregator/config.lua"
    text = config.read_text()
    config.write_text(text.replace("return {", "return { http = { threads = 'x' },"))
    assert machine.run("systemctl", "reload", "aggregator", check=False).returncode != 0
    config.write_text(text)
    assert get(machine, "/readyz")[0] == 200


class Requests:
    """Requests, one after another, until the block ends; `failed` has those without a 200."""

    def __init__(self, machine, path):
        self.machine, self.path = machine, path
        self.count, self.failed, self.ended = 0, [], threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ended.is_set():
            status, body = get(self.machine, self.path)
            self.count += 1
            if status != 200:
                self.failed.append((status, body))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def test_an_upgrade_hands_over_without_a_failed_request_and_keeps_the_data(machine, path):
    pid = main_pid(machine)
    answer = get(machine, path)
    with Requests(machine, path) as requests:
        said = machine.install(package(NEWEST)).stdout
        stack.wait_until("the new program", lambda: main_pid(machine) not in (pid, "0"), 60)
        wait_ready(machine)
    assert "migrations applied" in said  # the page has made migrate_url
    assert requests.failed == []
    assert requests.count > 0
    assert machine.run("aggregator", "--version").stdout == f"aggregator {NEWEST}\n"
    assert f'"program_version":"{NEWEST}"' in machine.run("aggregator", "status", "--json",
                                                             check=False).stdout
    assert get(machine, path) == answer
    assert machine.run("systemctl", "is-active", "aggregator").stdout == "active\n"


def test_an_upgrade_whose_migration_fails_leaves_the_former_program_running(machine, path):
    owner = machine.root / "etc/aggregator/migrate_url"
    text = owner.read_text()
    owner.write_text("postgresql://localhost:1/none\n")
    failed = machine.run("dpkg", "-i", f"/root/{package(NEWEST).name}", check=False)
    assert failed.returncode != 0
    assert get(machine, path)[0] == 200
    owner.write_text(text)
    machine.run("dpkg", "--configure", "aggregator")


def test_the_configuration_of_the_site_survives_a_removal(machine):
    machine.run("apt-get", "remove", "-y", "aggregator")
    assert get(machine, "/healthz")[0] == 0
    assert "KAFKA_BOOTSTRAP_SERVERS=" in environment(machine).read_text()


def test_a_purge_leaves_nothing_but_the_database(machine):
    machine.run("apt-get", "purge", "-y", "aggregator")
    rows = machine.run("runuser", "-u", "postgres", "--", "psql", "-qXAt", "huleedu_result_aggregator",
                       "-c", "SELECT count(*) FROM batch_results").stdout
    assert int(rows) > 0
    assert {path for path in files_of(machine) if "aggregator" in path
            if not path.startswith(("/root/", "/var/cache/apt/"))} == set()
    assert machine.run("getent", "passwd", "aggregator", check=False).stdout == ""
    owned = machine.run("find", "/", "-xdev", "(", "-nouser", "-o", "-nogroup", ")", "-print").stdout
    assert owned == ""
