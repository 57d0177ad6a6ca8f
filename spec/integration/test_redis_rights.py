"""A Redis that refuses commands: the service works without them, /readyz gives the reason, and the
rights in docs/operate/rights.md are enough."""
import json
import re

import pytest
import redis as redis_client
from harness import log_lines, slot_event
from stack import ROOT, wait_until
from views import status_path

USER = "aggregator"
REFUSED = "Redis refuses commands: the service continues without them"


def documented_rights():
    """The words behind ACL SETUSER in the operators' manual."""
    manual = (ROOT / "docs/operate/rights.md").read_text()
    return re.search(r"ACL SETUSER aggregator on >PASSWORD (.*)", manual)[1].split()


def redis_of(program):
    status, body, _ = program.get("/readyz")
    return status, json.loads(body)["dependencies"]["redis"]


@pytest.fixture
def admin(bare_service):
    with redis_client.Redis(port=bare_service.redis.port) as client:
        yield client


def start_as(service, admin, *rights):
    admin.execute_command("ACL", "SETUSER", USER, "reset", "on", ">secret-pw", *rights)
    url = service.redis_url.replace("redis://", f"redis://{USER}:secret-pw@")
    program = service.start(REDIS_URL=url)
    service.wait_ready()
    return program


def publish_one(service, number):
    service.publish([slot_event(f"batch-{number}", f"essay-{number}", "a.txt")])
    wait_until("the event", lambda: service.query(
        "SELECT count(*) FROM essay_results WHERE essay_id = %s", f"essay-{number}")[0][0] == 1)


def test_the_documented_rights_are_enough(bare_service, admin):
    program = start_as(bare_service, admin, *documented_rights())
    bare_service.feed("current")
    bare_service.wait_ready()
    batch_id = wait_until("a batch", lambda: bare_service.query(
        "SELECT batch_id FROM batch_results LIMIT 1"))[0][0]
    wait_until("an answer in Redis", lambda: program.get(status_path(batch_id))[0] == 200 and
               admin.keys("api:batch:*"))
    wait_until("marks of seen events", lambda: admin.keys("ras:seen:*"))
    assert redis_of(program)[1]["status"] == "healthy"
    assert program.metric("ras_redis_refusals_total") == 0
    assert not log_lines(program, REFUSED)


@pytest.mark.parametrize("taken, reason", [
    ("-subscribe", "the command subscribe"), ("resetchannels", "the channel"),
    ("-mget", "the command mget"), ("resetkeys", "a key"), ("-eval", "the command eval"),
    ("-zadd", "a command of a script")])
def test_a_missing_right_is_reported_and_the_service_goes_on(bare_service, admin, taken, reason):
    program = start_as(bare_service, admin, *documented_rights(), taken)
    publish_one(bare_service, 1)
    assert program.get(status_path("no-batch"))[0] == 404
    status, about = wait_until("the reason", lambda: [
        said for said in [redis_of(program)]
        if f"lacks a right: {reason}" in said[1].get("reason", "")])[0]
    assert (status, about["status"]) == (200, "degraded")
    assert program.metric("ras_redis_refusals_total") > 0
    assert "secret-pw" not in program.log.read_text()
    lines = log_lines(program, REFUSED)
    assert len(lines) == 1 and lines[0]["error"]


def test_a_rebuild_that_cannot_tell_the_caches_gives_the_reply_of_redis(bare_service, admin):
    program = start_as(bare_service, admin, *documented_rights())
    publish_one(bare_service, 1)
    bare_service.query("UPDATE essay_results SET filename = 'wrong'")
    admin.execute_command("ACL", "SETUSER", USER, "-eval")
    done = program.command("rebuild", "--yes", check=False)
    assert "Redis rejected a command: NOPERM" in done.stderr, done.stderr


def test_a_password_that_the_program_lacks_is_the_reason(bare_service, admin):
    program = bare_service.start()
    bare_service.wait_ready()
    admin.config_set("requirepass", "secret-pw")
    admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    status, about = wait_until("a degraded Redis", lambda: [
        said for said in [redis_of(program)]
        if said[1]["status"] == "degraded" and "in time" not in said[1]["reason"]])[0]
    assert (status, about["reason"]) == (200, "Redis refuses the login")
    refusals = program.metric('ras_redis_refusals_total{reason="login"}')
    wait_until("another refusal", lambda: program.metric('ras_redis_refusals_total{reason="login"}') > refusals)
    assert redis_of(program)[1]["reason"] == "Redis refuses the login"
    admin.config_set("requirepass", "")
    wait_until("it is healthy", lambda: redis_of(program)[1]["status"] == "healthy")


def test_a_replica_is_reported_until_its_promotion(bare_service, admin):
    program = bare_service.start()
    bare_service.wait_ready()
    admin.execute_command("REPLICAOF", "127.0.0.1", "1")
    publish_one(bare_service, 1)
    wait_until("the reason", lambda: "replica" in redis_of(program)[1].get("reason", ""))
    assert redis_of(program)[0] == 200
    admin.execute_command("REPLICAOF", "NO", "ONE")
    publish_one(bare_service, 2)
    wait_until("it is healthy", lambda: redis_of(program)[1]["status"] == "healthy")
