"""Commands beside `run`, errors of the configuration, secrets, and edited scripts."""
import concurrent.futures
import json
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest
from harness import edited_config, log_lines, read_records
from stack import ROOT, UNREAD_TOPIC, topics, wait_until
from views import check_view, status_path, wait_for_view

MIGRATIONS = [path for folder in ("host/schema", "sql/migrations", "sql/functions")
              for path in (ROOT / folder).glob("*.sql") if path.name != "citus.sql"]
PASSWORD, KEY = "s3cret-of-the-database", "s3cret-key-of-the-gateway"


@pytest.fixture
def empty_service(make_service, cleanup):
    """A service whose database has no schema."""
    return make_service(cleanup, redis="none", migrate=False)


def edit(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new))


def test_version_and_help(build):
    def run(*arguments, stdout=subprocess.PIPE):
        return subprocess.run([build / "aggregator", *arguments], stdout=stdout, text=True,
                              stderr=subprocess.PIPE, check=False, cwd="/")

    for words in (["version"], ["--version"], ["run", "--version"]):
        version = run(*words)
        assert (version.returncode, version.stderr) == (0, "")
        assert re.fullmatch(r"aggregator \d+\.\d+\.\d+\n", version.stdout)
    usage = run("--help")
    assert (usage.returncode, usage.stderr) == (0, "")
    assert usage.stdout == run("-h").stdout == run("help").stdout
    assert "SIGTERM" in usage.stdout and "Exit status: 0 done, 1 failed, 2" in usage.stdout
    for command in re.findall(r"^  ([a-z]+(?: [a-z]+)?)  ", usage.stdout, re.M):
        own = run(*command.split(), "-h")
        assert own.returncode == 0 and own.stdout.startswith(f"usage: aggregator {command}")
        assert own.stdout == run("help", *command.split()).stdout
    for wrong, said in (([], "say a command"), (["run", "fast"], "run takes no \"fast\""),
                        (["--fast", "run"], "--fast stands before the command"),
                        (["chekc"], "no command \"chekc\": did you mean \"check\"?"),
                        (["help", "fly"], "no command \"fly\""),
                        (["help", "nwe"], "no command \"nwe\": did you mean \"new\"?"),
                        (["help", "\x1b[2J"], "no command \"\\u001B[2J\""),
                        (["run", "--\x1b[2J"], "run takes no option --\\u001B[2J")):
        failed = run(*wrong)
        assert (failed.returncode, failed.stdout) == (2, ""), wrong
        assert failed.stderr.startswith("aggregator: ") and said in failed.stderr
        assert "\nusage: aggregator " in failed.stderr and "\x1b" not in failed.stderr
    nearly = run("help", "status", "x")
    assert nearly.returncode == 2
    assert 'help: no command "status x": did you mean "status"?' in nearly.stderr
    with open("/dev/full", "w", encoding="utf-8") as full:
        for words in (["help"], ["version"], ["help", "--json"], ["new", "--help"]):
            failed = run(*words, stdout=full)
            assert failed.returncode == 1, words
            assert failed.stderr.count("standard output cannot be written: No space left") == 1
    for words in (["help"], ["version"], ["help", "--json"]):
        failed = subprocess.run(["sh", "-c", 'exec "$0" "$@" >&-', build / "aggregator", *words],
                                stderr=subprocess.PIPE, text=True, check=False)
        assert failed.returncode == 1, words
        assert failed.stderr.count("standard output cannot be written: Bad file descriptor") == 1


def test_a_long_list_that_cannot_be_written_says_why(fed):
    program = fed.program
    with open("/dev/full", "w", encoding="utf-8") as full:
        failed = subprocess.run([program.build / "aggregator", "outbox", "list"], cwd=ROOT, stdout=full,
                                env=program.env, stderr=subprocess.PIPE, text=True, check=False)
    assert failed.returncode == 1
    assert "aggregator: standard output cannot be written: No space left" in failed.stderr


def test_migrations_are_applied_once(empty_service):
    program = empty_service.prepare()
    first, second = program.command("migrate"), program.command("migrate")
    assert first.stdout == f"{len(MIGRATIONS)} migrations applied\n"
    assert second.stdout == "0 migrations applied\n"


def test_concurrent_migrations_wait_for_one_another(empty_service):
    program = empty_service.prepare()
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        runs = list(pool.map(lambda _: program.command("migrate"), range(6)))
    assert all(re.fullmatch(r"\d+ migrations? applied\n", run.stdout) for run in runs), runs
    assert sum(int(run.stdout.split()[0]) for run in runs) == len(MIGRATIONS)


def test_check_names_what_is_missing(empty_service):
    program = empty_service.prepare()
    unmigrated = program.command("check", check=False)
    assert unmigrated.returncode == 1
    assert f"{len(MIGRATIONS)} migrations are not applied" in unmigrated.stderr
    program.command("migrate")
    good = program.command("check")
    assert "database: good" in good.stdout
    (read,) = re.findall(r"^topics read: (.*)$", good.stdout, re.M)
    assert sorted(read.split(", ")) == [name for name in topics() if name != UNREAD_TOPIC]
    published = "topics published, by the newest messages of the outbox: "
    assert published + "none yet\n" in good.stdout
    empty_service.query("INSERT INTO aggregator_state.outbox (identity, topic, value, fact_at, source, "
                        "scripts) SELECT topic, left(topic, 4), '', now(), 'reactions/r', 'h' FROM "
                        "unnest('{b.v1 1,a.v1 1,b.v1 2}'::text[]) AS topic")
    assert published + "a.v1, b.v1\n" in program.command("check").stdout
    empty_service.query("DROP TABLE aggregator_state.outbox")
    lacking = program.command("check", check=False)
    assert lacking.returncode == 1 and "database: good" not in lacking.stdout
    assert "missing in the database: aggregator_state.outbox: run `aggregator migrate`" in lacking.stderr
    program.command("migrate")
    assert "database: good" in program.command("check").stdout
    empty_service.query("ALTER TABLE essay_results DROP COLUMN filename CASCADE")
    differing = program.command("check", check=False)
    assert differing.returncode == 1
    assert "essay_results" in differing.stderr and "filename" in differing.stderr


def test_commands_on_an_unmigrated_database_fail_and_name_the_remedy(empty_service):
    program = empty_service.prepare()
    for words in (["outbox", "list"], ["outbox", "show", "1"], ["rejected", "list"],
                  ["explain", "outbox", "1"]):
        failed = program.command(*words, check=False)
        assert failed.returncode == 1, words
        assert failed.stderr.endswith("does not exist: run `aggregator migrate`\n"), words
    assert program.command("explain", "an-id", check=False).returncode == 1


def test_explain_refuses_a_word_without_an_id(empty_service):
    program = empty_service.prepare()
    for word in ("outbox", "batch", "batch_id", "essay", "event"):
        failed = program.command("explain", word, check=False)
        assert failed.returncode == 2, word
        assert f"{word} needs ID" in failed.stderr


def test_check_without_a_database_says_so(empty_service):
    program = empty_service.prepare(
        RESULT_AGGREGATOR_SERVICE_DATABASE_URL="postgresql://ras@127.0.0.1:1/ras")
    failed = program.command("check", check=False)
    assert failed.returncode == 1
    assert "scripts: good" in failed.stdout and "database:" in failed.stderr


def test_suspicious_keys_get_a_warning(bare_service):
    """In `check`, the log at the start, and the status."""
    for env, said in (({"HULEEDU_INTERNAL_API_KEY": ""}, "http.api_keys is empty: every request"),
                      ({"ALLOWED_SERVICE_IDS": ","}, "http.allowed_services is empty"),
                      ({"ADMIN_API_KEY": "1234", "ADMIN_PORT": "0"}, "admin.keys: entry 1 has fewer")):
        program = bare_service.prepare(**env)
        checked = program.command("check")
        assert f"warning: {said}" in checked.stderr and "1234" not in checked.stderr
        program.start()
        assert any(said in line["setting"] for line in log_lines(
            program, "setting is probably wrong") if line["level"] == "warning")
        wait_until("the admin socket", pathlib.Path(program.env["ADMIN_SOCKET"]).exists)
        assert any(said in warning for warning in program.ask("status")["warnings"])
        assert program.get(status_path("x"))[0] == (404 if "ADMIN_PORT" in env else 401)
        assert program.stop() == 0


def test_a_path_that_is_too_long_for_a_socket_gets_a_warning(bare_service):
    """In `check`, and in the log at the start, which goes on without the socket."""
    said = f'admin.socket "/{"s" * 107}" must be a path of 1 to 107 bytes'
    program = bare_service.prepare(ADMIN_SOCKET=f"/{'s' * 107}")
    assert f"warning: {said}" in program.command("check").stderr
    program.start()
    (line,) = wait_until("its line", lambda: log_lines(
        program, "admin socket cannot be opened: status, reload and resume do not reach this process"))
    assert line["error"] == said


def test_check_refuses_keys_that_run_refuses(bare_service):
    program = bare_service.prepare(HULEEDU_INTERNAL_API_KEY='["two\\nlines"]')
    for verb in ("check", "run"):
        failed = program.command(verb, check=False, timeout=120)
        assert failed.returncode == 1
        assert "http.api_keys: entry 1 holds a control character" in failed.stderr


HANDLER = """return {{
  topics = {{ "huleedu.test.v1" }},
  fields = {{ batch_id = {field} }},
  {more}
  handle {equals} function(event, view) end,
}}
"""
ROUTE = """return {{
  method = "{method}", path = "{path}", endpoint = "test", {more}
  handle = function(request) return {{ status = 200, body = "{{}}" }} end,
}}
"""


def handler(field='"data.id"', more="", equals="="):
    return "handlers/wrong.lua", HANDLER.format(field=field, more=more, equals=equals)


def route(method="GET", path="/test", more=""):
    return "routes/wrong.lua", ROUTE.format(method=method, path=path, more=more)


@pytest.mark.parametrize("script, words", [
    (handler(equals="= ="), ["wrong.lua:5:"]), (handler(equals="=="), ["wrong.lua:5:", "handle"]),
    (handler(more="tme = 'data.at',"), ["wrong.lua:4:", "tme", "did you mean", "time"]),
    (handler(field='{ "data.id", type = "text" }'), ["wrong.lua:3:", "batch_id", "text"]),
    (handler(field="{}"), ["wrong", "batch_id"]),
    (route(method="FETCH"), ["wrong", "FETCH"]), (route(more="cash = {},"), ["wrong", "cash"]),
    (route(path="/batches/{other}/status"), ["wrong", "/batches/{other}/status"]),
    (("view.lua", "return {"), ["view.lua:"]), (("lib/pagination.lua", "x = 1"), ["pagination"])],
    ids=lambda value: None if isinstance(value, tuple) else "-".join(value))
def test_check_names_the_script_at_fault(bare_service, scripts, script, words):
    file, text = script
    (scripts / file).write_text(text)
    for verb in ("check", "run"):
        failed = bare_service.prepare(SCRIPTS_ROOT=str(scripts)).command(verb, check=False,
                                                                         timeout=120)
        assert failed.returncode == 1
        assert all(word in failed.stderr for word in words), failed.stderr


def test_check_names_mistakes_of_all_kinds_at_once(bare_service, scripts):
    (scripts / "handlers/wrong.lua").write_text(HANDLER.format(field="{}", more="", equals="="))
    (scripts / "lib/wrong.lua").write_text("local unused = 1\nreturn {}\n")
    program = bare_service.prepare(SCRIPTS_ROOT=str(scripts), HULEEDU_INTERNAL_API_KEY="a\x01b")
    failed = program.command("check", check=False)
    assert failed.returncode == 1
    for part in (r"^configuration: .*control character", r"^scripts: .*handlers/wrong\.lua",
                 r"^names: .*lib/wrong\.lua:1: unused variable 'unused'"):
        assert re.search(part, failed.stderr, re.M), (part, failed.stderr)


@pytest.fixture
def sql(tmp_path):
    shutil.copytree(ROOT / "sql", tmp_path / "sql")
    return tmp_path / "sql"


def test_check_refuses_a_query_that_writes_a_table_of_the_view(bare_service, sql):
    (sql / "queries/own.sql").write_text(
        "WITH gone AS (DELETE FROM essay_results WHERE essay_id = :id::text RETURNING 1) "
        "UPDATE batch_results SET user_id = :id::text WHERE batch_id IN (SELECT 'x' FROM gone)")
    failed = bare_service.prepare(SQL_ROOT=str(sql)).command("check", check=False)
    assert failed.returncode == 1
    for table in ("essay_results", "batch_results"):
        assert f"queries/own.sql: it writes {table}, a table of the view" in failed.stderr


def test_check_compares_the_columns_that_a_reaction_reads_with_its_query(bare_service, scripts):
    reaction = scripts / "reactions/results_ready.lua"
    text = reaction.read_text()
    assert "publish = function(row)" in text
    line = text[:text.index("publish = function(row)")].count("\n") + 2
    reaction.write_text(text.replace("publish = function(row)",
                                     "publish = function(row)\n    local _ = row.batch_idd"))
    program = bare_service.prepare(SCRIPTS_ROOT=str(scripts))
    failed = program.command("check", check=False)
    assert failed.returncode == 1
    assert re.search(rf'reactions/results_ready\.lua:{line}: the row has no column "batch_idd": '
                     r'.*\(\S*queries/reaction_results\.sql\)', failed.stderr), failed.stderr


def test_check_takes_a_column_with_capitals_that_a_reaction_reads(bare_service, scripts, tmp_path):
    shutil.copytree(ROOT / "sql", tmp_path / "sql")
    query = tmp_path / "sql/queries/reaction_results.sql"
    query.write_text(f'SELECT q.*, 1 AS "asSent" FROM ({query.read_text()}\n) q\n')
    edit(scripts / "reactions/results_ready.lua", "publish = function(row)",
         "publish = function(row)\n    local _ = row.asSent")
    program = bare_service.prepare(SCRIPTS_ROOT=str(scripts), SQL_ROOT=str(tmp_path / "sql"))
    done = program.command("check", check=False)
    assert "no column" not in done.stderr and done.returncode == 0, done.stderr


def test_check_prints_findings_for_programs(bare_service, scripts):
    """One finding for each mistake, with its place; the same ones as annotations."""
    (scripts / "lib" / "wrong.lua").write_text("local unused = 1\nreturn { other = undefined }\n")
    program = bare_service.prepare(SCRIPTS_ROOT=str(scripts))
    done = program.command("check", "--format=json", check=False)
    report = json.loads(done.stdout)
    assert done.returncode == 1 and report["good"] is False
    wrong = [(found["line"], found["about"]) for found in report["findings"]
             if (found["file"] or "").endswith("lib/wrong.lua") and found["level"] == "error"]
    assert wrong == [(1, "names"), (2, "names")], report
    assert {found["about"] for found in report["findings"] if found["level"] == "good"} >= {
        "configuration", "scripts", "database"}
    annotated = program.command("check", "--format=github", check=False)
    assert annotated.returncode == 1
    places = [re.match(r"::error title=names,file=(.*),line=(\d)::", line)
              for line in annotated.stdout.splitlines() if line.startswith("::error")]
    assert [(place[1].endswith("lib/wrong.lua"), place[2]) for place in places] == [
        (True, "1"), (True, "2")], annotated.stdout


def test_check_prints_the_configurations_mistake_as_a_finding(bare_service, cleanup):
    folder = tempfile.TemporaryDirectory(prefix="c", dir="/tmp")  # Lua shortens a longer path
    cleanup.enter_context(folder)
    config = pathlib.Path(folder.name) / "wrong.lua"
    config.write_text("return {\n  http = = 1,\n}\n")
    done = bare_service.prepare(config).command("check", "--format=json", check=False)
    found, = json.loads(done.stdout)["findings"]
    assert done.returncode == 1 and (found["about"], found["line"]) == ("configuration", 2)
    assert found["file"].endswith("wrong.lua") and "unexpected symbol" in found["text"]


def test_check_refuses_invalid_kafka_options(bare_service):
    """The same options and texts as `run`; no broker is contacted."""
    for option, reason in (('["no.such.property"] = "1"', "no.such.property"),
                           ('["security.protocol"] = "ssl", ["ssl.ca.location"] = "/no/such.pem"',
                            "ssl.ca.location")):
        config = edited_config(bare_service.folder / "kafka.lua",
                               ("options = {},", f"options = {{ {option} }},"))
        for verb in ("check", "run"):
            done = bare_service.prepare(config).command(verb, check=False)
            assert done.returncode == 1 and reason in done.stderr, (verb, done.stderr)



def test_check_accepts_one_more_handler_and_one_more_route(bare_service, scripts):
    """Control: the refusals above have their stated cause."""
    for file, text in (handler(), (route())):
        (scripts / file.replace("wrong", "right")).write_text(text)
    bare_service.prepare(SCRIPTS_ROOT=str(scripts)).command("check")


@pytest.mark.parametrize("old, new, words", [
    ("threads = 16,", "thread = 16,", ["http", "thread", ":{line}:", 'did you mean "threads"?']),
    ("threads = 16,", 'threads = "many",', ["http", "threads", ":{line}:"]),
    ("threads = 16,", "threads = 0,", ["http", "threads", ":{line}:"]),
    ("states = 8,", "states = 8.5,", ["http", "states", ":{line}:"]),
    ("options = {},", 'options = { ["no.such.property"] = "1" },', ["no.such.property"]),
    ('["bff-teacher-service"] = "internal"', '["bff-teacher-service"] = "intenal"',
     ["http.vocabularies", "bff-teacher-service", "did you mean"]),
    ("  log = {", "  logs = {", ["logs", ":{line}:", 'did you mean "log"?']),
    ("  log = {", "  log = = {", [":{line}:"]),
    ('env("LOG_LEVEL", "INFO")', '"LOUD"', ["LOUD"]),
    ("service = {", "service = 7, unused = {", ["service", ":{line}:"])])
def test_a_wrong_configuration_is_named_by_key_file_and_line(bare_service, tmp_path, old, new,
                                                              words):
    path = edited_config(tmp_path / "wrong.lua", (old, new))
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1)
                if new in text)
    failed = bare_service.prepare(path).command("run", check=False, timeout=120)
    assert failed.returncode in (1, 2)
    for word in words:
        assert word.format(line=line) in failed.stderr, failed.stderr
    assert any(":{line}:" in word for word in words) <= ("wrong.lua" in failed.stderr)


@pytest.mark.parametrize("variable, value", [
    ("PORT", "port"), ("INGEST_WORKERS", "-1"), ("INGEST_WORKERS", "two"),
    ("CACHE_ENABLED", "perhaps"), ("KAFKA_AUTO_OFFSET_RESET", "newest"), ("LOG_FORMAT", "xml"),
    ("REDIS_CACHE_TTL_SECONDS", "-1"), ("KAFKA_SESSION_TIMEOUT_MS", "1e99")])
def test_a_wrong_variable_is_named_with_its_key(bare_service, variable, value):
    """The key's line in config.lua names the variable."""
    program = bare_service.prepare(**{variable: value})
    failed = program.command("run", check=False, timeout=120)
    assert failed.returncode in (1, 2)
    where = re.search(r"config\.lua:(\d+): ", failed.stderr)
    assert where, failed.stderr
    assert variable in (ROOT / "config.lua").read_text().splitlines()[int(where[1]) - 1]


def test_the_settings_that_errors_name_exist(bare_service):
    table = (ROOT / "host/command/report.c").read_text().split("report_systems[] = {")[1].split("};")[0]
    settings = {".".join(row) for row in re.findall(r'\{"[^"]+", "(\w+)", "(\w+)"\}', table)}
    assert len(settings) > 1
    for setting in settings:
        assert bare_service.prepare().command("config", setting).returncode == 0, setting


def test_a_wrong_redis_url_is_reported(bare_service):
    failed = bare_service.prepare(REDIS_URL="http://nowhere").command("run", check=False,
                                                                      timeout=120)
    assert failed.returncode == 1
    assert "Redis URL" in failed.stderr


def test_missing_files_are_named(bare_service, tmp_path):
    for env, config, word in (({}, tmp_path / "none.lua", "none.lua"),
                              ({"SCRIPTS_ROOT": "/nowhere"}, None, "/nowhere"),
                              ({"SQL_ROOT": "/nowhere"}, None, "/nowhere"),
                              ({"HULEEDU_INTERNAL_API_KEY_FILE": "/nowhere/key",
                                "HULEEDU_INTERNAL_API_KEY": ""}, None, "/nowhere/key")):
        program = bare_service.prepare(config, **env)
        if "HULEEDU_INTERNAL_API_KEY" in env:
            del program.env["HULEEDU_INTERNAL_API_KEY"]
        failed = program.command("run", check=False, timeout=120)
        assert failed.returncode == 1
        assert word in failed.stderr, failed.stderr


def test_a_port_in_use_is_reported(fed):
    failed = fed.prepare(PORT=str(fed.program.port)).command("run", check=False, timeout=60)
    assert failed.returncode == 1
    assert str(fed.program.port) in failed.stderr and "port" in failed.stderr


def test_a_process_whose_port_is_in_use_joins_no_group(fed):
    """Each start of a supervisor would stop the ingestion of the process that has the port."""
    failed = fed.prepare(PORT=str(fed.program.port)).command("run", check=False, timeout=60)
    messages = [json.loads(line)["message"] for line in failed.stderr.splitlines()]
    assert messages == ["cannot start"]  # no cache, worker or relay has begun


@pytest.mark.parametrize("wrong", [
    {"AGGREGATOR_HTTP_TLS_CERTIFICATE": "/nowhere.pem", "AGGREGATOR_HTTP_TLS_KEY": "/nowhere.pem"},
    {"ADMIN_API_KEY": "two\tparts", "ADMIN_PORT": "0"}])
def test_a_process_that_cannot_start_joins_no_group(bare_service, wrong):
    """Each start of a supervisor would stop the ingestion of the others."""
    telling = {"AGGREGATOR_KAFKA_OPTIONS_DEBUG": "cgrp", "LOG_LEVEL": "debug"}
    subscribes = "subscribe to new subscription"  # librdkafka's words
    failed = bare_service.prepare(**telling, **wrong).command("run", check=False, timeout=60)
    assert failed.returncode == 1 and "cannot start" in failed.stderr
    assert subscribes not in failed.stderr
    good = bare_service.start(**telling)
    wait_until("a good one's subscription", lambda: subscribes in good.log.read_text())


def test_secrets_come_from_files_and_never_reach_a_log(bare_service, tmp_path):
    """Neither in normal operation nor in error texts."""
    url = bare_service.database_url.replace("ras@", f"ras:{PASSWORD}@")
    (tmp_path / "key").write_text(KEY + "\n")
    (tmp_path / "url").write_text(url + "\n")
    wrong = {"RESULT_AGGREGATOR_SERVICE_DATABASE_URL":
             f"postgresql://ras:{PASSWORD}@127.0.0.1:1/ras",
             "REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:1"}
    for env in ({"RESULT_AGGREGATOR_SERVICE_DATABASE_URL_FILE": str(tmp_path / "url")}, wrong):
        program = bare_service.prepare(HULEEDU_INTERNAL_API_KEY_FILE=str(tmp_path / "key"),
                                       LOG_LEVEL="DEBUG", **env)
        del program.env["HULEEDU_INTERNAL_API_KEY"]
        if env is not wrong:
            del program.env["RESULT_AGGREGATOR_SERVICE_DATABASE_URL"]
        program.start()
        for key, status in ((KEY, 404), ("wrong-key", 401)):
            answer = program.get(status_path("x"), {"X-Internal-API-Key": key,
                                                    "X-Service-ID": "api-gateway-service"})
            assert answer[0] == (503 if env is wrong and status == 404 else status)
        if env is not wrong:
            bare_service.wait_ready(program)
        text = program.get("/readyz")[1].decode() + program.get("/metrics")[1].decode()
        for verb in ("check", "migrate"):
            run = program.command(verb, check=False)
            text += run.stdout + run.stderr
        assert program.stop() == 0
        text += program.log.read_text()
        for secret in (PASSWORD, KEY, "wrong-key"):
            assert secret not in text


def test_editing_a_handler_changes_the_response_after_a_restart(bare_service, scripts):
    program = bare_service.start(SCRIPTS_ROOT=str(scripts))
    bare_service.feed("current")
    answers = check_view(program, "current")
    before = bare_service.committed_events()
    edit(scripts / "handlers/essay_slot_assigned.lua", "filename = event.filename,",
         'filename = "edited " .. event.filename,')
    assert program.stop() == 0
    program.start()
    record = next(record for record in read_records("current")
                  if record["topic"] == "huleedu.els.essay.slot.assigned.v1")
    data = record["value"]["data"]
    later = record["value"] | {
        "event_id": "00000000-0000-4000-8000-00000000abcd",
        "data": data | {"timestamp": "2030-01-01T00:00:00Z"}}
    bare_service.publish([record | {"value": later}])
    bare_service.wait_committed(before + 1)

    def filename(answer):
        return next(essay["filename"] for essay in answer["essays"]
                    if essay["essay_id"] == data["essay_id"])

    assert filename(answers[data["batch_id"]]) == data["original_file_name"]
    wait_until("the edited name", lambda: filename(program.status_of(data["batch_id"])) ==
               f"edited {data['original_file_name']}", 10)


def test_editing_a_route_changes_the_response_after_a_restart(bare_service, scripts):
    edit(scripts / "routes/batch_status.lua", '"Batch not found"', '"No such batch"')
    program = bare_service.start(SCRIPTS_ROOT=str(scripts))
    assert program.get(status_path("x"))[:2] == (404, b'{"error":"No such batch"}')


def test_the_log_is_json_or_text(bare_service):
    program = bare_service.prepare(LOG_FORMAT="text")
    program.start()
    bare_service.feed("current")
    wait_for_view(program, "current")
    assert program.stop() == 0
    assert not any(line.startswith("{") for line in program.log.read_text().splitlines())
