"""Passwords change in their files while the program runs: no restart, no reload, no outage."""
import re

import redis as redis_client
import stack
from harness import dependencies, log_lines, slot_event, strict_postgres
from stack import wait_until

ROLE = "rotated"


def write_secret(path, text):
    """Replaced atomically, as secret stores do."""
    draft = path.with_suffix(".new")
    draft.write_text(text + "\n")
    draft.rename(path)


def states(program):
    return {name: about["status"] for name, about in dependencies(program).items()}


def test_api_keys_are_rotated_by_the_steps_of_the_page(bare_service, tmp_path):
    """docs/operate/configure.md: both keys, a reload, then the old one out, and a reload."""
    path = tmp_path / "keys"
    write_secret(path, "first-key-of-16-bytes")
    program = bare_service.start(HULEEDU_INTERNAL_API_KEY="", HULEEDU_INTERNAL_API_KEY_FILE=str(path))
    bare_service.wait_ready()

    def statuses():
        return [program.get("/internal/v1/batches/user/nobody",
                            stack.HEADERS | {"X-Internal-API-Key": f"{key}-key-of-16-bytes"})[0]
                for key in ("first", "second")]
    assert statuses() == [200, 401]
    write_secret(path, "second-key-of-16-bytes,first-key-of-16-bytes")
    program.command("reload")
    assert statuses() == [200, 200]
    write_secret(path, "second-key-of-16-bytes")
    program.command("reload")
    assert statuses() == [401, 200]


def test_rotated_passwords_of_postgres_and_redis_need_no_restart(make_service, tmp_path, cleanup):
    postgres = strict_postgres(tmp_path, cleanup, ROLE,
                               f"CREATE ROLE {ROLE} SUPERUSER LOGIN PASSWORD 'pg-first-pw'")
    service = make_service(cleanup, postgres_url=postgres.url())
    admin = redis_client.Redis(port=service.redis.port)
    files = {"postgres": tmp_path / "postgres.url", "redis": tmp_path / "redis.url"}

    def url_with(scheme, url, login):
        return re.sub(r"^\w+://([^@/]*@)?", f"{scheme}://{login}@", url)

    def write(password):
        write_secret(files["postgres"],
                     url_with("postgresql", service.database_url, f"{ROLE}:pg-{password}"))
        write_secret(files["redis"], url_with("redis", service.redis_url, f"{ROLE}:redis-{password}"))

    def rotate(password):
        """Changes the password and ends connections made with the old one."""
        admin.execute_command("ACL", "SETUSER", ROLE, "on", "~*", "&*", "+@all", "resetpass",
                              f">redis-{password}")
        service.query(f"ALTER ROLE {ROLE} PASSWORD 'pg-{password}'")
        write(password)
        admin.execute_command("CLIENT", "KILL", "USER", ROLE)
        service.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s",
                      ROLE)

    rotate("first-pw")
    program = service.start(RESULT_AGGREGATOR_SERVICE_DATABASE_URL="", REDIS_URL="",
                            RESULT_AGGREGATOR_SERVICE_DATABASE_URL_FILE=str(files["postgres"]),
                            REDIS_URL_FILE=str(files["redis"]))
    service.wait_ready()
    wait_until("all healthy", lambda: set(states(program).values()) == {"healthy"})
    for number, password in enumerate(("second-pw", "third-pw")):
        rotate(password)
        service.publish([slot_event(f"batch-{number}", f"essay-{number}", "a.txt")])
        wait_until("the event behind the change", lambda: service.query(
            "SELECT count(*) FROM essay_results")[0][0] == number + 1)
        wait_until("all healthy", lambda: set(states(program).values()) == {"healthy"})
        status, _, _ = program.get(f"/internal/v1/batches/batch-{number}/status")
        assert status in (200, 404)
    log = program.log.read_text()
    assert not re.search(r"(pg|redis)-(first|second|third)-pw", log)
    assert "refuses the session" not in log and "password authentication failed" not in log
    assert not log_lines(program, "dependency is unavailable")
