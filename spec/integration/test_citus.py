"""The service on Citus: a coordinator and two workers, with a process at each worker. Runs where the
extension is installed: tools/citus."""
import contextlib
import json
import re
import secrets
import shutil
import uuid

import harness
import psycopg2
import pytest
import stack
from citus_pair import MARKS, SHARDS, Pair, query
from harness import BESIDE, expectations
from stack import ROOT, wait_until
from test_example import FOLDER as FLEET, HEADERS as FLEET_HEADERS, telemetry
from test_rejection import bad_slot, keep, rejected_rows
from views import check_view, status_path

pytestmark = MARKS


@pytest.fixture(scope="session")
def fed_pair(cluster, make_service):
    """Has taken sample streams without a batch in common. Only to be read."""
    with contextlib.ExitStack() as cleanup:
        pair = Pair(cluster, make_service, cleanup)
        pair.feed(BESIDE)
        yield pair


def users():
    return sorted({batch["user_id"] for stream in BESIDE for batch in expectations(stream).values()})


def body_of(program, path):
    status, body, _ = program.get(path)
    return status, body


@pytest.mark.parametrize("stream", BESIDE)
def test_every_node_gives_the_samples_responses(fed_pair, stream):
    for program in fed_pair.programs:
        check_view(program, stream)


def test_responses_are_those_of_plain_postgres_to_the_byte(fed_pair):
    paths = [status_path(batch) for stream in BESIDE
             for batch in (*expectations(stream), "unknown")]
    paths += [f"/internal/v1/batches/user/{user}?limit=2{more}" for user in users()
              for more in ("", "&offset=1", "&status=completed_successfully", "&status=processing")]
    wanted = [body_of(fed_pair.plain.program, path) for path in paths]
    for program in fed_pair.programs:
        assert [body_of(program, path) for path in paths] == wanted


MESSAGES = ("SELECT identity, topic, key, value, state FROM aggregator_state.outbox "
            "ORDER BY identity COLLATE \"C\"")
MARK_ALL = ("INSERT INTO aggregator_state.reaction_marks (reaction, key) SELECT reaction, batch_id FROM batch_results, "
            "unnest('{reactions/results_ready,reactions/assessment_completed}'::text[]) AS reaction")


def test_messages_are_those_of_plain_postgres(fed_pair):
    """Of the view as it is in the end, from which they are made once more: what else was published depends on
    which events a reaction found already there."""
    def messages(service):
        return [(*row[:3], bytes(row[3]), row[4]) for row in service.query(MESSAGES)]

    def settled(service):
        return service.query("SELECT (SELECT count(*) FROM aggregator_state.reaction_marks), (SELECT "
                             "count(*) FROM aggregator_state.outbox WHERE state = 'pending')") == [(0, 0)]

    services = (fed_pair.plain, fed_pair.spread)
    for service in services:
        wait_until("the outbox is sent", lambda: settled(service))
        service.query("DELETE FROM aggregator_state.outbox")
    for service in services:
        service.query(MARK_ALL)
        wait_until("the outbox is sent", lambda: settled(service))
    assert messages(fed_pair.spread) == messages(fed_pair.plain) != []


STORE = ("INSERT INTO aggregator_state.outbox (identity, topic, key, value, fact_at, source, scripts, state) "
         "VALUES (%s, 't', 'k', 'v', now(), 's', 'h', 'settled')")


def test_messages_leave_in_the_order_in_which_they_were_stored(cluster, make_service, cleanup):
    """Whichever node stored them."""
    pair = Pair(cluster, make_service, cleanup)
    for number, node in enumerate((2, 1, 0, 2, 1, 2)):
        with psycopg2.connect(pair.urls[node]) as connection, connection.cursor() as cursor:
            cursor.execute(STORE, (str(number),))
        connection.close()
    rows = pair.spread.query("SELECT identity FROM aggregator_state.outbox ORDER BY id")
    assert [row[0] for row in rows] == list("012345")


def test_every_event_is_counted_once(fed_pair):
    counts = ("SELECT sum(applied), sum(superseded), sum(ignored), sum(duplicate), sum(rejected) "
              "FROM aggregator_state.consumer_offsets")
    wanted = fed_pair.plain.query(counts)
    assert [sum(row) for row in fed_pair.spread.query(counts)] == [sum(row) for row in wanted]


def epochs(urls):
    """What each node names the database."""
    def epoch(url):
        with psycopg2.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT * FROM aggregator_state.epoch()")
            return str(cursor.fetchall())
    return [epoch(url) for url in urls]


def test_every_node_names_the_database_alike(fed_pair):
    assert len(set(epochs(fed_pair.urls))) == 1


def test_functions_of_a_release_leave_the_database_its_name(fed_pair, tmp_path):
    """Also between them and the distribution, which needs the scripts."""
    before = epochs(fed_pair.urls)
    fed_pair.spread.query("UPDATE aggregator_state.unnumbered_files SET checksum = 'of an older release' "
                          "WHERE name = 'aggregator_state/functions.sql' RETURNING name")
    failed = fed_pair.at(0, SCRIPTS_ROOT=str(tmp_path)).command("migrate", check=False)
    assert "the migrations are applied, and no table is distributed" in failed.stdout + failed.stderr
    assert epochs(fed_pair.urls) == before


def test_migrate_distributes_once(fed_pair):
    assert "essay_results" in fed_pair.migrated.stdout + fed_pair.migrated.stderr
    again = fed_pair.at(0).command("migrate")
    assert "0 migrations applied\nCitus: 0 objects distributed\n" in again.stdout


def test_migrate_at_a_worker_names_the_coordinator(fed_pair):
    refused = fed_pair.at(1).command("migrate", check=False)
    assert refused.returncode == 1
    assert "this server is a worker of Citus" in refused.stdout + refused.stderr


@pytest.mark.parametrize("node", [0, 1])
def test_check_is_content_at_every_node(fed_pair, node):
    checked = fed_pair.at(node).command("check", check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("words", [("rejected", "list"), ("explain", "--since", "beginning", "--json")])
def test_commands_at_a_worker_print_what_they_print_of_plain_postgres(fed_pair, words):
    if words[0] == "explain":
        words += ("batch", next(iter(expectations("current-hard"))))

    def printed(program):
        """Without the times of rejection, and in an order of their own."""
        lines = program.command(*words).stdout.splitlines()
        return sorted(re.sub(r'^[-0-9]+ [:0-9]+|"rejected_at":"[^"]*"', "", line) for line in lines)

    wanted = printed(fed_pair.plain.program)
    for node in (1, 2):
        assert printed(fed_pair.at(node)) == wanted != []


def test_a_database_with_rows_gets_citus(cluster, make_service, cleanup):
    """Its rows move to the shards, each node answers as before, and ingestion goes on."""
    pair = Pair.__new__(Pair)
    pair.plain = make_service(cleanup, redis="none")
    pair.urls = cluster.create_database(f"grown_{uuid.uuid4().hex}")
    pair.spread = harness.Service(pair.plain.folder / "grown", pair.plain.build, pair.plain.kafka,
                                  pair.urls[0], "none", cleanup)
    assert "Citus" not in pair.at(0).command("migrate").stdout
    before = pair.at(0).start()
    pair.spread.feed("current")
    check_view(before, "current")
    before.stop()
    cluster.join(pair.urls, SHARDS)
    assert "Citus" in pair.at(0).command("migrate").stdout
    after = pair.at(2).start()
    check_view(after, "current")
    pair.spread.feed("second-run")
    check_view(after, "second-run")


# ---- responses ----------------------------------------------------------------------------------

READS = ("SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid "
         "AND d.datname = current_database() WHERE query LIKE %s AND query NOT LIKE '%%pg_stat_statements%%'")


def reads(url, text):
    """How often statements of this text have run."""
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(READS, [text])
        return int(cursor.fetchone()[0])


ONE_BATCH = "%FROM assessments t WHERE t.batch_id = wanted%"


@pytest.mark.parametrize("text", [ONE_BATCH, "%FROM essay_results e%WHERE id_hashes(a.essay_ids) && hashes%"])
def test_a_response_reads_its_batch_by_one_statement_and_its_essays_by_another(fed_pair, text):
    """Five functions of it ask for rows of the batch. The second has the lists of the essays, too."""
    url = fed_pair.urls[1]
    before = reads(url, text)
    assert query(url, f"SELECT body FROM batch_answer('{next(iter(expectations('current')))}')")
    assert reads(url, text) - before == 1


def test_a_transaction_of_ingestion_writes_to_all_nodes_at_once(fed_pair):
    """Also to its own: of two that begin at different nodes, each would lock its own rows last."""
    for url in fed_pair.urls[1:]:
        assert reads(url, "%aggregator_state.begin_writes()%") > 0
        with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            said = []
            for statement in ("SELECT aggregator_state.begin_writes()", "COMMIT"):
                cursor.execute(statement)
                cursor.execute("SHOW citus.enable_local_execution")
                said += cursor.fetchone()
            assert said == ["off", "on"]


def test_a_reaction_reads_its_batches_by_one_statement_for_each_table(fed_pair):
    keys = [batch for stream in BESIDE for batch in expectations(stream)]
    runs = f"SELECT r::text FROM ended_runs(ARRAY{keys}) r ORDER BY r::text COLLATE \"C\""
    url, texts = fed_pair.urls[1], (ONE_BATCH, "SELECT * FROM phase_outcomes t WHERE t.batch_id = ANY%")
    before = [reads(url, text) for text in texts]
    assert query(url, runs) == fed_pair.plain.query(runs) != []
    assert [reads(url, text) - count for text, count in zip(texts, before)] == [0, 1]


NAMED_ELSEWHERE = """
INSERT INTO batch_results (batch_id, registration_at, registration_event_id, user_id, essay_count, essay_ids,
  first_release)
VALUES ('one', '2025-06-28T08:00:00Z', '00000000-0000-4000-8000-000000000001', 'teacher', 1, '{listed}', false);
INSERT INTO essay_results (essay_id, spellcheck_at, spellcheck_event_id, spellcheck_status, result_link_at,
  result_link_event_id, result_batch_id, first_result_at)
SELECT id, at, event_id, 'COMPLETED', at, event_id, 'one', at
FROM (VALUES ('linked', '2025-06-28T09:00:00Z'::timestamptz, '00000000-0000-4000-8000-000000000002'::uuid),
  ('taken', '2025-06-28T09:00:01Z', '00000000-0000-4000-8000-000000000003')) AS result (id, at, event_id);
INSERT INTO phase_outcomes (batch_id, phase_name, content_id, outcome_at, outcome_event_id, phase_status,
  result_status, processed_ids, failed_ids)
VALUES ('another', 'spellcheck', '00000000-0000-4000-8000-000000000004', '2025-06-28T08:30:00Z',
  '00000000-0000-4000-8000-000000000005', 'completed', 'COMPLETED', '{}', '{taken}')"""


def test_a_list_of_another_batch_counts_for_essays_that_no_list_of_the_batch_has(cluster, make_service, cleanup):
    pair = Pair(cluster, make_service, cleanup)
    answers = []
    for service in (pair.plain, pair.spread):
        for statement in NAMED_ELSEWHERE.split(";"):
            service.query(statement)
        answers.append(service.query("SELECT body FROM batch_answer('one')"))
    body = json.loads(answers[0][0][0])
    assert [essay["essay_id"] for essay in body["essays"]] == ["linked"]
    assert answers[1] == answers[0]


def test_a_statement_of_the_same_transaction_sees_what_has_been_committed(cluster, make_service, cleanup):
    """What a response has read of its batch ends with its statement."""
    pair = Pair(cluster, make_service, cleanup)
    ask = "SELECT user_id FROM batches_of(ARRAY['batch'])"
    with contextlib.closing(psycopg2.connect(pair.urls[1])) as reader, reader.cursor() as cursor:
        cursor.execute(ask)
        assert cursor.fetchall() == []
        for user in ("one", "another"):
            pair.spread.query("INSERT INTO batch_results (batch_id, user_id) VALUES ('batch', %s) "
                              "ON CONFLICT (batch_id) DO UPDATE SET user_id = EXCLUDED.user_id", user)
            cursor.execute(ask)
            assert cursor.fetchall() == [(user,)]


def documented(language, first):
    """The block of docs/operate/citus.md that begins with `first`."""
    blocks = (ROOT / "docs/operate/citus.md").read_text().split(f"```{language}\n")[1:]
    return next(block for block in blocks if block.startswith(first)).partition("```")[0]


def test_rows_are_those_of_plain_postgres(fed_pair):
    """By the documented statement."""
    statement = documented("sh", "psql").split("'")[1]
    for table in ("batch_results", "essay_results", "phase_outcomes", "assessments"):
        asked = statement.replace("essay_results", table)
        assert fed_pair.spread.query(asked) == fed_pair.plain.query(asked) != []


def test_old_rows_are_deleted_by_hand(cluster, make_service, cleanup):
    """By the documented statements: here all rows are old."""
    pair = Pair(cluster, make_service, cleanup)
    pair.feed(["current"])
    assert pair.spread.query("SELECT 1 FROM essay_results WHERE linked_batch_id IS NOT NULL") != []
    pair.spread.query(documented("sql", "CREATE TEMP TABLE").replace("400 days", "1 day"))
    for table in ("batch_results", "phase_outcomes", "assessments"):
        assert pair.spread.query(f"SELECT 1 FROM {table}") == []
    assert pair.spread.query("SELECT 1 FROM essay_results WHERE linked_batch_id IS NOT NULL") == []


# ---- what Citus lacks ---------------------------------------------------------------------------

NO_SHADOW = "verify, rebuild, diff and shadow runs do not work on Citus"


@pytest.mark.parametrize("words, status", [(("verify",), 1), (("rebuild", "--yes"), 1), (("diff",), 2)])
def test_what_compares_with_a_shadow_is_refused(fed_pair, words, status):
    for program in fed_pair.programs:
        refused = program.command(*words, check=False)
        assert refused.returncode == status, refused.stdout + refused.stderr
        assert NO_SHADOW in refused.stdout + refused.stderr
    assert fed_pair.spread.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE '%%shadow%%' "
                                 "OR nspname LIKE '%%rebuild%%'") == []


@pytest.fixture
def scripts(tmp_path):
    return shutil.copytree(ROOT / "scripts", tmp_path / "scripts")


def test_a_shadow_run_is_refused_and_replaces_nothing(fed_pair, scripts):
    program = fed_pair.at(1, SCRIPTS_ROOT=str(scripts)).start()
    (scripts / "lib/extra.lua").write_text("return {}\n")
    refused = program.command("reload", "--shadow-run", check=False)
    program.stop()
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["done"] is False and NO_SHADOW in refused.stdout


@pytest.mark.parametrize("words", [("check",), ("retention",)])
def test_a_retention_is_refused(fed_pair, scripts, words):
    view = scripts / "view.lua"
    view.write_text(view.read_text().replace(
        'name = "batch_results",',
        'name = "batch_results", retention = { days = 400, span_days = 30, by = "registration" },', 1))
    refused = fed_pair.at(1, SCRIPTS_ROOT=str(scripts)).command(*words, check=False)
    assert refused.returncode == 1
    assert ("the view declares a retention, which does not work on Citus"
            in refused.stdout + refused.stderr)


# ---- rows ---------------------------------------------------------------------------------------

def test_rejected_events_are_bounded_in_bytes(cluster, make_service, cleanup):
    """By the size of their table on the node that has it, whichever node the process asks."""
    pair = Pair(cluster, make_service, cleanup)
    for offset in range(5):
        keep(pair.spread, "old", offset, secrets.token_hex(200_000), f"{10 - offset} minutes")
    pair.spread.publish([bad_slot()])
    pair.at(2, stack.edited_config(pair.spread.folder / "narrow.lua", (
        "rejected_keep_mb = 1024", "rejected_keep_mb = 1"))).start()
    pair.spread.wait_committed(1)
    assert [row["offset"] for row in rejected_rows(pair.spread) if row["topic"] == "old"] == [2, 3, 4]
    again = pair.at(1).command("rejected", "retry", "--all", "--yes")
    assert "0 applied or ignored, 4 rejected again" in again.stdout
    assert "4 dropped" in pair.at(1).command("rejected", "drop", "--all", "--yes").stdout
    assert rejected_rows(pair.spread) == []


def test_messages_are_bounded_in_rows(cluster, make_service, cleanup):
    """By the statistics of their table on the node that has it, whichever node the process asks."""
    pair = Pair(cluster, make_service, cleanup)
    pair.spread.query(
        "INSERT INTO aggregator_state.outbox (identity, topic, key, value, fact_at, created_at, source, "
        "scripts, state, done_at) SELECT n, 't', 'k', 'v', at, at, 's', 'h', 'sent', at "
        "FROM generate_series(1, 30) AS n, LATERAL (SELECT now() - n * interval '1 hour' AS at) AS t")
    program = pair.at(2, stack.edited_config(pair.spread.folder / "few.lua", (
        "    keep_rows = 1000000", "    keep_rows = 27")))
    program.env["OUTBOX_HORIZON_HOURS"] = "24"
    program.start()
    left = "SELECT count(*), max(identity::int) FROM aggregator_state.outbox"
    wait_until("the oldest are deleted", lambda: pair.spread.query(left) == [(27, 27)])


def test_an_operator_retries_and_drops_messages(cluster, make_service, cleanup):
    pair = Pair(cluster, make_service, cleanup)
    pair.spread.query("INSERT INTO aggregator_state.outbox (identity, topic, key, value, fact_at, source, scripts, "
                      "state) SELECT n, 't', 'k', 'v', now(), 's', 'h', 'failed' FROM generate_series(1, 2) AS n")
    operator = pair.at(1)
    retried = operator.command("outbox", "retry", "--all", "--yes").stdout
    assert "2 messages are now pending" in retried
    dropped = operator.command("outbox", "drop", "--all", "--yes").stdout
    assert "2 messages are now settled" in dropped


# ---- the example's service ---------------------------------------------------------------------------

SETS = "SELECT vehicle_id, driver_ids FROM vehicles ORDER BY vehicle_id COLLATE \"C\""
PASSED = ("SELECT coalesce(sum(next_offset) FILTER (WHERE next_offset > 0), 0) "
          "FROM aggregator_state.consumer_offsets")


class Fleet:
    """The example's service, without a retention, and its stream of telemetry."""

    def __init__(self, folder, build, cleanup):
        self.folder, self.build, self.cleanup = folder, build, cleanup
        self.service = shutil.copytree(FLEET, folder / "service")
        view = self.service / "scripts/view.lua"
        view.write_text(re.sub(r"retention = \{.*\},", "", view.read_text()))
        self.kafka = stack.EmbeddedKafka(folder, build, stack.topics_of(FLEET))
        cleanup.callback(self.kafka.stop)
        self.kafka.start()
        records = telemetry()
        self.count = len(records)
        path = folder / "telemetry.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        stack.feed(build, self.kafka.brokers, str(path))

    def program(self, url):
        made = stack.OtherAggregator(self.folder / str(uuid.uuid4()), self.build, self.service,
                                     (url, "none", self.kafka.brokers), FLEET_HEADERS)
        self.cleanup.callback(made.kill)
        return made

    def taken(self, urls, sql):
        """The rows after processes at all but the first of these nodes have taken the stream."""
        self.program(urls[0]).command("migrate")
        programs = [self.program(url).start() for url in urls[1:]]
        wait_until("all events", lambda: query(urls[0], PASSED)[0][0] >= self.count)
        for program in programs:
            program.stop()
        return query(urls[0], sql)


def test_sets_are_those_of_plain_postgres(cluster, build, postgres_url, tmp_path, cleanup):
    """The rule `set`, with items from commits of two nodes."""
    fleet, name = Fleet(tmp_path, build, cleanup), f"fleet_{uuid.uuid4().hex}"
    plain = stack.create_database(postgres_url, name)
    wanted = fleet.taken([plain, plain], SETS)
    assert any(len(drivers or []) > 1 for _, drivers in wanted)
    assert fleet.taken(cluster.join(cluster.create_database(name), SHARDS), SETS) == wanted
