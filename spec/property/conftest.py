"""Fixtures and profiles of the convergence tests.

    /usr/bin/python3 -m pytest [-n 2] -c spec/property/pytest.ini spec/property
        [--build FOLDER] [--hypothesis-profile=long] [--hypothesis-seed=N]
"""
import contextlib
import os
import pathlib
import random
import sys
import tempfile
import uuid

import hypothesis
import pytest
import redis as redis_client

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/lib"))

import faulty_build  # noqa: E402
import publishing  # noqa: E402
import servers  # noqa: E402
import stack  # noqa: E402
import workbench  # noqa: E402

pytest_plugins = ["build_option"]
COMMON = {"deadline": None, "print_blob": True, "database": None,
          "suppress_health_check": list(hypothesis.HealthCheck)}
hypothesis.settings.register_profile("short", max_examples=300, **COMMON)
hypothesis.settings.register_profile("long", max_examples=10000, **COMMON)


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    """All processes of pytest-xdist have one seed."""
    if hypothesis.core.global_force_seed is None:
        given = getattr(config, "workerinput", {})
        hypothesis.core.global_force_seed = given.get("seed") or random.getrandbits(32)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    node.workerinput["seed"] = hypothesis.core.global_force_seed


def pytest_terminal_summary(terminalreporter):
    seed = hypothesis.core.global_force_seed
    terminalreporter.write_line(f"repeat with --hypothesis-seed={seed}")


@contextlib.contextmanager
def open_bench(build, tables=None, env=None):
    with contextlib.ExitStack() as cleanup:
        folder = pathlib.Path(
            cleanup.enter_context(tempfile.TemporaryDirectory(prefix="aggregator-")))
        admin = os.environ.get("PG_TEST_URL") or servers.start(folder, cleanup)["PG_TEST_URL"]
        server = stack.Redis(folder / "own")  # flushed between streams, so nobody else's
        cleanup.callback(server.stop)
        server.start()
        url = stack.create_database(admin, f"ras_{uuid.uuid4().hex}")
        stack.Aggregator(folder, build, url, "none", "none", env).command("migrate")
        client = redis_client.Redis.from_url(server.url)
        bench = workbench.Workbench(build, url, server.url, client, tables, env)
        cleanup.callback(bench.close)
        yield bench


@pytest.fixture(scope="session")
def bench(build):
    """Every test uses the same one: each starts with a reset."""
    with open_bench(build) as bench:
        yield bench


@pytest.fixture(scope="session")
def typed(build):
    """The workbench of spec/fixtures/typed, a service with every type and rule."""
    root = ROOT / "spec/fixtures/typed"
    with open_bench(build, ["readings", "totals", "sources"],
                    {"SCRIPTS_ROOT": str(root / "scripts"), "SQL_ROOT": str(root / "sql")}) as bench:
        yield bench


@pytest.fixture(scope="session")
def retaining(build):
    """The workbench of the service with a retention of its batches."""
    with tempfile.TemporaryDirectory(prefix="aggregator-") as folder:
        scripts = stack.with_retention(pathlib.Path(folder) / "scripts", days=30, span_days=2)
        with open_bench(build, env={"SCRIPTS_ROOT": str(scripts)}) as bench:
            yield bench


@pytest.fixture(scope="session")
def world(bench):
    """The same workbench, and publishing processes with fault points."""
    with tempfile.TemporaryDirectory(prefix="aggregator-") as folder:
        with publishing.publishing(bench, faulty_build.make(), pathlib.Path(folder)) as it:
            yield it
