"""A name service that does not answer: whatever connects by a name gives up at its deadline, and goes on
once the service answers. Each wait here would otherwise last as long as the silence."""
import pytest
from harness import dependencies, log_lines, preload, read_records
from stack import wait_until
from views import status_path

PATIENCE_S = 120  # of a command on a busy machine
UNANSWERED = 'cannot look up the host name "{}": the name service did not answer in time'


class NameService:
    """Of programs with its `env`: NAME.test is 127.0.0.1."""

    def __init__(self, folder):
        self.folder = folder
        self.env = preload(folder, "name_service", NAME_SERVICE=str(folder))

    def fall_silent(self):
        (self.folder / "silent").touch()

    def answer(self):
        (self.folder / "silent").unlink(missing_ok=True)

    def wait_asked(self, name):
        asked = self.folder / "asked"
        wait_until(f"the lookup of {name}", lambda: asked.exists() and name in asked.read_text())


@pytest.fixture
def names(tmp_path):
    names = NameService(tmp_path)
    yield names
    names.answer()


def prepare(service, names, **env):
    """A program that knows Postgres and Redis by names; and Kafka, if `env` says so."""
    by_name = {"RESULT_AGGREGATOR_SERVICE_DATABASE_URL": service.database_url.replace("127.0.0.1", "db.test"),
               "REDIS_URL": service.redis_url.replace("127.0.0.1", "redis.test"), "LOG_LEVEL": "DEBUG"}
    return service.prepare(**by_name, **names.env | env)


def cut_connections(service):
    """To Postgres and Redis: the program has to connect again."""
    service.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                  "AND datname = current_database()")
    for kind in ("normal", "pubsub"):
        service.redis.run("CLIENT", "KILL", "TYPE", kind)


def errors(program):
    """The texts of the log's lines that have an error."""
    return [line["error"] for line in log_lines(program) if "error" in line]


def await_error(program, name):
    wait_until(f"the error on {name}",
               lambda: any(UNANSWERED.format(name) in error for error in errors(program)))


def test_a_check_names_the_host(bare_service, names):
    program = prepare(bare_service, names)
    names.fall_silent()
    refused = program.command("check", check=False, timeout=PATIENCE_S)
    assert refused.returncode == 1 and UNANSWERED.format("db.test") in refused.stderr, refused.stderr


def test_a_process_starts_and_names_the_hosts(bare_service, names):
    program = prepare(bare_service, names)
    names.fall_silent()
    program.start()
    await_error(program, "db.test")
    await_error(program, "redis.test")
    names.answer()
    bare_service.wait_ready()


@pytest.mark.parametrize("setting, env", [
    ("http.host", {"HOST": "listener.test"}),
    ("admin.host", {"ADMIN_HOST": "listener.test", "ADMIN_API_KEY": "a-key-for-the-administration-api"})])
def test_a_start_ends_if_the_host_of_a_listener_is_not_looked_up(bare_service, names, setting, env):
    program = bare_service.prepare(**env, **names.env)
    names.fall_silent()
    program.start(wait=False)
    wait_until("the end", lambda: not program.running(), PATIENCE_S)
    (line,) = log_lines(program, "cannot start")
    assert f"{setting}: {UNANSWERED.format('listener.test')}" in line["error"]


def test_a_listener_has_the_address_of_its_name(bare_service, names):
    program = bare_service.start(HOST="listener.test", **names.env)
    assert program.get("/healthz")[0] == 200


def test_requests_and_workers_go_on(bare_service, names):
    program = prepare(bare_service, names).start()
    bare_service.wait_ready()
    bare_service.feed("first-unlinked")
    bare_service.wait_committed(len(read_records("first-unlinked")))
    (one,), (other,) = bare_service.query("SELECT batch_id FROM batch_results LIMIT 2")
    assert program.get(status_path(one))[0] == 200
    names.fall_silent()
    cut_connections(bare_service)
    wait_until("a 503", lambda: program.get(status_path(other))[0] == 503)
    wait_until("the reason", lambda: dependencies(program)["database"].get("reason") ==
               "cannot connect to the database")
    bare_service.feed("current")
    await_error(program, "db.test")
    await_error(program, "redis.test")
    names.answer()
    bare_service.wait_committed(len(read_records("first-unlinked")) + len(read_records("current")))
    bare_service.wait_ready()
    assert program.get(status_path(other))[0] == 200


def test_a_process_stops_while_lookups_hang(bare_service, names):
    program = prepare(bare_service, names).start()
    bare_service.wait_ready()
    names.fall_silent()
    cut_connections(bare_service)
    await_error(program, "db.test")
    bare_service.feed("first-unlinked")
    assert program.stop(PATIENCE_S) == 0
    assert [line["message"] for line in log_lines(program)][-1] == "stopped"


def test_a_process_stops_while_the_name_of_a_broker_hangs(bare_service, names):
    """librdkafka's threads look it up, and its client ends only with them."""
    by_name = bare_service.kafka.brokers.replace("127.0.0.1", "kafka.test")
    program = prepare(bare_service, names, KAFKA_BOOTSTRAP_SERVERS=by_name)
    names.fall_silent()
    program.start()
    names.wait_asked("kafka.test")
    assert program.stop(PATIENCE_S) == 0
