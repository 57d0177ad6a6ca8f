"""Fixtures of the integration tests. One Postgres cluster serves the whole run (PG_TEST_URL, or one
started here); every test that asks for `service` has a database, a Redis and a Kafka of its own, so
that no answer cached for one is served to another.

    /usr/bin/python3 -m pytest [-n 4] spec/integration [--build FOLDER]
"""
import collections
import contextlib
import os
import pathlib
import shutil
import sys
import tempfile
import uuid

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/lib"))

import apache_kafka  # noqa: E402
import certificates  # noqa: E402
import citus  # noqa: E402
import faulty_build as faulty_builds  # noqa: E402
import harness  # noqa: E402
import http_client  # noqa: E402
import installed as installations  # noqa: E402
import live_stream  # noqa: E402
import scripts_copy  # noqa: E402
import servers  # noqa: E402
import service_manager  # noqa: E402
import stack  # noqa: E402

pytest_plugins = ["build_option"]
CLEANUP = contextlib.ExitStack()


def pytest_addoption(parser):
    parser.addoption("--tls", action="store_true", help="the HTTP tests speak TLS: test_http*.py, "
                     "test_hostile_http.py")


def pytest_configure(config):
    config.addinivalue_line("markers", "xdist_group(name): tests that share a server")
    http_client.BUILD = ROOT / config.getoption("build")
    http_client.TLS = config.getoption("tls")
    if hasattr(config, "workerinput") or "PG_TEST_URL" in os.environ:
        return
    folder = pathlib.Path(CLEANUP.enter_context(tempfile.TemporaryDirectory(prefix="aggregator-")))
    os.environ.update(servers.start(folder, CLEANUP))


def pytest_unconfigure(config):
    CLEANUP.close()


SHARED = ("fed_apache", "fed")  # fixtures of a session, which one worker makes for all files


def group_of(item):
    """The name of the worker's group that a test runs in; None: any worker runs it."""
    mark = item.get_closest_marker("xdist_group")
    if mark:
        return mark.args[0]
    shared = [name for name in SHARED if name in item.fixturenames]
    if shared:
        return shared[0]
    definitions = item._fixtureinfo.name2fixturedefs.values()
    of_module = any(fixture.scope == "module" for found in definitions for fixture in found)
    return item.path.stem if of_module else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests that share a fixture of a module run in one worker, which makes it once. Large groups begin
    first."""
    groups = {item: group_of(item) for item in items}
    sizes = collections.Counter(groups.values())
    places = {}
    for item, group in groups.items():
        if group:
            item.add_marker(pytest.mark.xdist_group(group))
            places.setdefault(group, len(places))
    items.sort(key=lambda item: (-sizes[groups[item]], places[groups[item]]) if groups[item] else (0, 0))


@pytest.fixture(scope="session")
def faulty_build():
    """The folder of a program with fault points (host/base/fault.h)."""
    return faulty_builds.make()


@pytest.fixture(scope="session")
def postgres_url():
    return os.environ["PG_TEST_URL"]


@pytest.fixture(scope="session")
def make_service(build, postgres_url, tmp_path_factory):
    """make_service(cleanup, kafka=…, redis=…, postgres_url=…, migrate=…): a harness.Service without a
    program. kafka: a running one, or None for an embedded one. redis: "own", or an URL, or "none"."""

    templates = {}  # the migrated database of each cluster, which services get copies of

    def migrated_template(url):
        if url not in templates:
            name = f"migrated_{uuid.uuid4().hex}"
            program = stack.Aggregator(tmp_path_factory.mktemp("template"), build,
                                       stack.create_database(url, name), "none", "none")
            program.command("migrate")
            templates[url] = name
        return templates[url]

    def make(cleanup, kafka=None, redis="own", postgres_url=postgres_url, migrate=True):
        folder = tmp_path_factory.mktemp("service")
        if kafka is None:
            kafka = stack.EmbeddedKafka(folder, build)
            cleanup.callback(kafka.stop)
            kafka.start()
        server = None
        if redis == "own":
            server = stack.Redis(folder)
            cleanup.callback(server.stop)
            redis = server.start().url
        template = migrated_template(postgres_url) if migrate else "template1"
        url = stack.create_database(postgres_url, f"ras_{uuid.uuid4().hex}", template)
        service = harness.Service(folder, build, kafka, url, redis, cleanup)
        service.redis = server
        service.query("CREATE EXTENSION pg_stat_statements")
        return service

    return make


@pytest.fixture
def cleanup():
    with contextlib.ExitStack() as callbacks:
        yield callbacks


@pytest.fixture
def fifo(tmp_path):
    """The file of AGGREGATOR_FAULT_FIFO."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


@pytest.fixture
def manager(tmp_path, cleanup):
    """A service manager that programs with its `env` notify."""
    return service_manager.ServiceManager(tmp_path / "notify", cleanup)


@pytest.fixture
def slow_queries(tmp_path):
    """A copy of sql/ whose query for a batch waits for a lock once its snapshot is taken."""
    folder = tmp_path / "sql"
    shutil.copytree(ROOT / "sql", folder)
    query = folder / "queries/batch_status.sql"
    text = query.read_text()
    assert harness.STATUS_QUERY in text
    query.write_text(text.replace(harness.STATUS_QUERY, harness.STATUS_QUERY +
                                  f", {harness.WAIT_FOR_TEST}"))
    return folder


@pytest.fixture
def bare_service(make_service, cleanup):
    """A service without a program yet."""
    return make_service(cleanup)


@pytest.fixture
def service(bare_service):
    """A service whose program runs and follows an embedded Kafka."""
    bare_service.start()
    bare_service.wait_ready()
    return bare_service


def start_apache(cleanup, folder, build, properties=None, partitions=None, kind=apache_kafka.ApacheKafka):
    """properties: of the broker. partitions: {topic: number} where it is another than usual."""
    if not (stack.KAFKA_JARS / "pom.xml").exists():
        pytest.fail("no Apache Kafka in .kafka/: run tools/test once with Maven's repository in "
                    "reach")
    kafka = kind(folder, properties=properties)
    cleanup.callback(kafka.stop)
    kafka.start()
    for topic, number in (partitions or {}).items():
        stack.create_topics(build, kafka.brokers, [topic], number)
    kafka.create_topics(build)
    return kafka


@pytest.fixture
def make_apache(build, tmp_path, cleanup):
    """make_apache(properties=…, partitions=…): an Apache Kafka of its own."""
    return lambda **options: start_apache(cleanup, tmp_path, build, **options)


@pytest.fixture
def apache(make_apache):
    return make_apache()


@pytest.fixture(scope="session")
def fed_apache(make_service, build, tmp_path_factory):
    """A service on an Apache Kafka that has taken the sample streams, both releases side by
    side. Only to be read."""
    with contextlib.ExitStack() as session:
        kafka = start_apache(session, tmp_path_factory.mktemp("apache"), build)
        service = make_service(session, kafka)
        service.start(INGEST_WORKERS="2")
        feeders = [service.feed(stream, wait=False) for stream in harness.BESIDE]
        assert [feeder.wait() for feeder in feeders] == [0] * len(feeders)
        yield service


@pytest.fixture(scope="session")
def fed(make_service):
    """A service on an embedded Kafka that has taken current and first. Only to be read."""
    with contextlib.ExitStack() as session:
        service = make_service(session)
        service.start()
        service.wait_ready()
        service.feed("current")
        service.feed("first")
        service.wait_committed(len(harness.read_records("current")) +
                               len(harness.read_records("first")))
        yield service


@pytest.fixture
def scripts(tmp_path):
    """A copy of the scripts, to be edited."""
    folder = tmp_path / "scripts"
    shutil.copytree(ROOT / "scripts", folder)
    return folder


@pytest.fixture
def own_scripts(bare_service):
    """The scripts_copy.Scripts of the service."""
    return scripts_copy.Scripts(bare_service.folder)


@pytest.fixture(scope="module")
def world():
    """The http_client.Servers of a module, with the batch KNOWN."""
    with http_client.servers() as made:
        made.feed([http_client.registration(http_client.KNOWN)])
        yield made


@pytest.fixture
def authority(tmp_path):
    """A certificate authority of the test."""
    return certificates.Authority(tmp_path / "ca")


@pytest.fixture(scope="module")
def pages(make_service):
    """The console of a program that has taken a stream, in a browser."""
    import console_pages  # which needs Selenium
    with contextlib.ExitStack() as cleanup:
        made = console_pages.Pages(make_service(cleanup), cleanup)
        made.service.feed("current")
        made.service.wait_committed(len(harness.read_records("current")))
        yield made


@pytest.fixture
def browser(pages):
    """Signed in, at the overview; nothing went wrong in the page meanwhile."""
    chromium = pages.browser
    chromium.size(1280)
    chromium.enter(pages.key)
    chromium.problems()
    yield chromium
    assert chromium.problems() == []


@pytest.fixture
def install(bare_service, tmp_path, cleanup):
    """install(config=None, **options): an Installed that runs."""
    return lambda config=None, **options: installations.Installed(bare_service, tmp_path, cleanup,
                                                                  config, **options)


@pytest.fixture
def installed(install):
    return install()


@pytest.fixture
def open_stream(cleanup):
    """open_stream(program, …): a live_stream.Stream, which the test's end closes."""
    def start(program, *arguments, **options):
        stream = live_stream.Stream(program, *arguments, **options)
        cleanup.callback(stream.close)
        return stream

    return start


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A citus.Cluster, on which tests make databases."""
    with contextlib.ExitStack() as cleanup:
        yield citus.Cluster(tmp_path_factory.mktemp("citus"), cleanup)
