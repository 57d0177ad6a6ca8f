"""The service in a container of podman: the image of `tools/package --image`, and the Containerfile's last
stage with the same package, on a base from Debian's archive. Its servers are on loopback beside it.
tools/package --test-image runs it, as root.
"""
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/lib"))

import machine as machines  # noqa: E402
import stack  # noqa: E402

PACKAGES = ROOT / "build/package"
IMAGE = os.environ.get("PACKAGE_IMAGE")  # oci:…, which tools/package --test-image sets
VERSION = os.environ.get("PACKAGE_NEW")
PAGE = ROOT / "docs/operate/container.md"
KEY = "key-of-the-gateway"

# podman needs the one hierarchy of control groups, whatever this machine has mounted.
PODMAN = """
if [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ]; then mount -t cgroup2 none /sys/fs/cgroup; fi
exec podman --storage-driver=vfs --cgroup-manager=cgroupfs --root="$0"/store --runroot="$0"/run "$@"
"""


class Podman:
    """podman with a store of its own."""

    def __init__(self, folder):
        self.folder = folder

    def command(self, *words):
        return ["unshare", "--mount", "bash", "-ec", PODMAN, self.folder, *words]

    def run(self, *words, check=True):
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, f"podman {' '.join(map(str, words))}: {done.stderr}"
        return done


class Container(stack.Process):
    """The service as `podman run` starts it; what podman prints is its log."""

    start_limit_s = 120

    def __init__(self, podman, image, env):
        super().__init__(podman.folder)
        self.podman, self.image = podman, image
        self.port = env["AGGREGATOR_HTTP_PORT"]
        self.env = podman.folder / "aggregator.env"
        self.env.write_text("".join(f"{name}={value}\n" for name, value in env.items()))

    def options(self):
        # podman's own limits are higher than a machine without CAP_SYS_RESOURCE may set.
        return ["--rm", "--network=host", "--cgroups=disabled", f"--env-file={self.env}",
                "--ulimit=nofile=8192:8192", "--ulimit=nproc=4096:4096",
                *re.search(r"`(--read-only --cap[^`]*)`", PAGE.read_text()).group(1).split()]

    def command(self, *words):
        """A command of the program in a container of its own."""
        return self.podman.run("run", *self.options(), self.image, *words).stdout

    def execute(self, *words):
        """A command of the program in the service's container."""
        return self.podman.run("exec", "service", "aggregator", *words, check=False)

    def start(self):
        self.spawn(self.podman.command("run", "--name=service", *self.options(), self.image))
        self.wait_ready(lambda: self.execute("health", "ready").returncode == 0)
        return self

    def get(self, path):
        headers = {"X-Internal-API-Key": KEY, "X-Service-ID": "admin-dashboard-service"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
        return None


@pytest.fixture(scope="module")
def cleanup():
    with contextlib.ExitStack() as stack_:
        yield stack_


@pytest.fixture(scope="module")
def servers(cleanup, tmp_path_factory):
    folder = tmp_path_factory.mktemp("servers")
    postgres, redis = stack.Postgres(folder), stack.Redis(folder)
    kafka = stack.EmbeddedKafka(folder, ROOT / "build")
    cleanup.callback(postgres.remove)
    for server in (postgres, redis, kafka):
        cleanup.callback(server.stop)
        server.start()
    return postgres, redis, kafka


@pytest.fixture(scope="module")
def podman(cleanup, tmp_path_factory):
    made = Podman(tmp_path_factory.mktemp("podman"))
    cleanup.callback(made.run, "rmi", "--all", "--force", check=False)
    return made


def pull_layout(podman):
    return podman.run("pull", "--quiet", IMAGE).stdout.strip()


def build_containerfile(podman):
    """Its last stage; the package is put in the place of the stage that makes it."""
    path, = PACKAGES.glob(f"aggregator_{VERSION}_*.deb")
    stage = podman.folder / "stage/source/build/package"
    stage.mkdir(parents=True)
    (stage / path.name).write_bytes(path.read_bytes())
    podman.run("import", "--change=ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin",
               machines.make_base(PACKAGES / "slim.tar", "passwd"), "localhost/base")
    podman.run("build", "--format=docker", "--isolation=chroot", "--network=host",
               "--build-arg=BASE=localhost/base", f"--build-context=build={podman.folder}/stage",
               f"--file={ROOT}/packaging/Containerfile", "--tag=localhost/built", ROOT)
    return "localhost/built"


@pytest.fixture(scope="module", params=[pull_layout, build_containerfile])
def container(request, podman, servers):
    postgres, redis, kafka = servers
    url = postgres.create_database(request.param.__name__)
    made = Container(podman, request.param(podman), {
        "RESULT_AGGREGATOR_SERVICE_DATABASE_URL": url, "REDIS_URL": redis.url,
        "KAFKA_BOOTSTRAP_SERVERS": kafka.brokers, "HULEEDU_INTERNAL_API_KEY": KEY,
        "AGGREGATOR_HTTP_PORT": str(stack.free_port())})
    made.command("migrate")
    with contextlib.ExitStack() as ends:
        ends.callback(made.stop)
        yield made.start()


def test_a_request_is_answered(container, servers):
    stack.feed(ROOT / "build", servers[2].brokers, "current")
    batch = next(iter(json.loads((stack.SAMPLES / "current.expected.json").read_text())))
    stack.wait_until("the batch",
                     lambda: container.get(f"/internal/v1/batches/{batch}/status") == 200)


def test_it_runs_as_user_10001_without_rights(container):
    status = container.podman.run("exec", "service", "cat", "/proc/1/status").stdout
    values = dict(re.findall(r"^(\w+):\s+(.*)$", status, re.M))
    assert values["Uid"].split() == values["Gid"].split() == ["10001"] * 4
    assert values["CapEff"] == values["CapBnd"] == "0" * 16
    assert values["NoNewPrivs"] == "1"
    written = container.podman.run("exec", "service", "touch", "/var/lib/file", check=False)
    assert "Read-only file system" in written.stderr


def test_commands_reach_the_service(container):
    assert container.execute("health").returncode == 0
    status = json.loads(container.execute("status", "--json").stdout)
    assert status["health"]["program_version"] == VERSION


def test_a_stop_ends_it_with_0(container):
    assert container.stop() == 0
    last = container.log.read_text().splitlines()[-1]
    assert json.loads(last)["level"] == "info", last
