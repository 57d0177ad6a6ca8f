"""A list, which reads what is kept, equals the list derived from the view: for every filter, whenever it
is asked for, also while events are committed."""
import threading

import hypothesis
import psycopg2
import pytest
import strategies
from hypothesis import strategies as st
from stack import wait_until
from test_convergence import save

# Each of these is many lists.
FEW = hypothesis.settings(max_examples=hypothesis.settings().max_examples // 30)
ANY_CASE = strategies.cases() | strategies.sample_cases()
CHECKS = 4  # within a delivery
DIFFERING = """
    SELECT users.id, filters.statuses, kept.body, derived.body
    FROM (SELECT DISTINCT user_id FROM batch_results WHERE user_id IS NOT NULL) AS users (id)
    CROSS JOIN (SELECT NULL::text[] UNION ALL SELECT '{}' UNION ALL SELECT ARRAY[s::text]
      FROM unnest(enum_range(NULL::batch_result_status)) AS s) AS filters (statuses)
    CROSS JOIN LATERAL list_batches(users.id, filters.statuses, NULL, NULL, 20, 0) AS kept (body)
    CROSS JOIN LATERAL derived_page(users.id, filters.statuses, NULL, NULL, 20, 0) AS derived (body)
    WHERE kept.body IS DISTINCT FROM derived.body"""
PAGE_OF_U = "SELECT list_batches('u', NULL, NULL, NULL, 20, 0)"


class Reader(threading.Thread):
    """Runs a query over a connection of its own until it is stopped, or `times` times."""

    def __init__(self, url, sql, times=None):
        super().__init__()
        self.url, self.sql, self.times = url, sql, times
        self.stopped, self.error, self.rows = threading.Event(), None, None
        self.start()

    def run(self):
        connection = psycopg2.connect(self.url)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                while not self.stopped.is_set() and self.times != 0:
                    cursor.execute(self.sql)
                    self.rows = cursor.fetchall()
                    self.times = self.times and self.times - 1
        except psycopg2.Error as error:
            self.error = error
        finally:
            connection.close()

    def stop(self):
        self.stopped.set()
        self.join()
        assert self.error is None, self.error


def check_lists(bench, records, delivery):
    found = bench.query(DIFFERING)
    if found:
        save(records, delivery)
    assert found == []


def batches_of(delivery, records):
    """[(process, batch)], those of each process in their order, the processes in turn."""
    lanes = {number: list(batches) for number, batches in delivery.lanes(records).items()}
    while lanes:
        for number in list(lanes):
            yield number, lanes[number].pop(0)
            if not lanes[number]:
                del lanes[number]


@FEW
@hypothesis.given(ANY_CASE, st.data())
def test_lists_between_commits_equal_those_derived(bench, case, data):
    records, delivery = case
    bench.reset()
    batches = list(batches_of(delivery, records))
    checked = {data.draw(st.integers(0, len(batches) - 1)) for _ in range(CHECKS)} if batches else ()
    for place, (number, batch) in enumerate(batches):
        bench.run_lane(number, delivery.redis, [batch])
        if place in checked:
            check_lists(bench, records, delivery)
    check_lists(bench, records, delivery)


EVENT = "'00000000-0000-4000-8000-000000000001'"
BEFORE = f"""
    INSERT INTO batch_results (batch_id, registration_at, registration_event_id, user_id, essay_count, essay_ids)
    VALUES ('A', '2025-06-02', {EVENT}, 'u', 2, '{{e1,e2}}'), ('C', '2025-06-01', {EVENT}, 'u', 3, '{{e3,e4,e6}}'),
      ('D', '2025-06-03', {EVENT}, 'u', 1, '{{e4}}'), ('F', '2025-06-04', {EVENT}, 'u', 1, '{{e6}}');
    INSERT INTO essay_results (essay_id, first_result_at, result_batch_id, result_link_at, result_link_event_id)
    VALUES ('e3', '2025-06-05', 'C', '2025-06-05', {EVENT}), ('e4', '2025-06-05', 'C', '2025-06-05', {EVENT}),
      ('e5', '2025-06-05', 'D', '2025-06-05', {EVENT}), ('e6', '2025-06-05', 'Z', '2025-06-05', {EVENT});
    INSERT INTO phase_outcomes (batch_id, phase_name, content_id, outcome_at, outcome_event_id, correlation_id,
      phase_status, processed_ids, failed_ids)
    VALUES ('X', 'spellcheck', {EVENT}, '2025-06-04', {EVENT}, 'run', 'failed_critically', '{{}}', '{{e3}}')"""
RESULT = f"""
    INSERT INTO essay_results (essay_id, first_result_at, result_batch_id, result_link_at, result_link_event_id)
    VALUES ('e1', '2025-06-06', %s, '2025-06-06', {EVENT})"""
OUTCOME = f"""
    INSERT INTO phase_outcomes (batch_id, phase_name, content_id, outcome_at, outcome_event_id, correlation_id,
      phase_status, result_status, processed_ids, failed_ids)
    VALUES ('%s', 'spellcheck', {EVENT}, '2025-06-04T12:00Z', {EVENT}, 'run', 'failed_critically', %s, '{{%s}}', '{{}}')"""
CHANGES = {
    "a result that names its batch": RESULT % "'A'",
    "a result that names no batch": RESULT % "NULL",
    "a result that names another batch than the registration": RESULT % "'B'",
    "an outcome": OUTCOME % ("A", "NULL", "e1"),
    "an outcome that ends the batch": OUTCOME % ("A", "'FAILED'", "e1"),
    "an outcome of another batch": OUTCOME % ("B", "NULL", "e3"),
    "an outcome of another batch that takes an essay": OUTCOME % ("B", "NULL", "e5"),
    "a judgement of another batch": f"""
        INSERT INTO assessments (batch_id, content_id, judgement_at, judgement_event_id, restated_at,
          restated_event_id, essay_ids, ranks, scores, statuses)
        VALUES ('B', {EVENT}, '2025-06-07', {EVENT}, '2025-06-07', {EVENT}, '{{e3}}', '{{1}}', '{{1}}',
          '{{COMPLETED}}')""",
    "a completion": f"""
        UPDATE batch_results SET completion_at = '2025-06-08', completion_event_id = {EVENT},
          completion_status = 'CANCELLED' WHERE batch_id = 'A'""",
    "a registration": f"""
        INSERT INTO batch_results (batch_id, registration_at, registration_event_id, user_id, essay_count,
          essay_ids) VALUES ('B', '2025-06-09', {EVENT}, 'u', 0, '{{}}')""",
    "an earlier registration that takes an essay": f"""
        INSERT INTO batch_results (batch_id, registration_at, registration_event_id, user_id, essay_count,
          essay_ids) VALUES ('B', '2025-05-01', {EVENT}, 'v', 1, '{{e3}}')""",
    "a registration that gives an essay back":
        "UPDATE batch_results SET essay_ids = '{e3,e4}' WHERE batch_id = 'C'",
    "a registration for another user": "UPDATE batch_results SET user_id = 'v' WHERE batch_id = 'A'",
    "a row of an essay that is gone": "DELETE FROM essay_results WHERE essay_id = 'e3'",
    "an outcome that is gone": "DELETE FROM phase_outcomes WHERE batch_id = 'X'",
    "a registration that is gone": "DELETE FROM batch_results WHERE batch_id = 'C'",
    "essays that are gone": "TRUNCATE essay_results",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_list_shows_every_change_of_the_view(bench, change):
    def kept():
        return bench.query("SELECT list_batches(u, NULL, NULL, NULL, 20, 0) FROM unnest('{u,v}'::text[]) u")

    bench.reset()
    bench.query(BEFORE)
    assert bench.query(DIFFERING) == []
    before = kept()
    bench.query(CHANGES[change])
    assert bench.query(DIFFERING) == []
    assert kept() != before, "the change is none"


@pytest.mark.parametrize("others", [0, 1000, 2500])
def test_an_answer_goes_with_any_of_its_tags_however_many_are_compared(bench, others):
    """In portions of an index, and in one pass over all that is kept."""
    bench.reset()
    bench.query(BEFORE)
    bench.list("u")
    gone = bench.query("""
        SELECT outdate_answers(array_agg(hashtextextended(t.id COLLATE "C", 0) ORDER BY t.id DESC))
        FROM (SELECT 'e4' UNION ALL SELECT 'other' || n FROM generate_series(1, %s) n) AS t (id)""", [others])
    assert sorted(gone[0][0]) == ["C", "D"]
    kept = bench.query("SELECT batch_id FROM batch_answers WHERE batch_id IN ('A', 'C', 'D', 'F') ORDER BY 1")
    assert kept == [("A",), ("F",)]  # others are of tests before


def test_a_list_whose_marks_another_one_took_goes_on(bench):
    """It has seen the marks, and waits for the one that takes them."""
    bench.reset()
    bench.query(BEFORE)
    before = bench.list("u")
    bench.query("UPDATE batch_results SET essay_count = 7 WHERE batch_id = 'A'")
    bench.query("BEGIN")
    try:
        first = bench.list("u")
        second = Reader(bench.env["RESULT_AGGREGATOR_SERVICE_DATABASE_URL"], PAGE_OF_U, times=1)
        wait_until("a list that waits for the lock", lambda: bench.query(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = list_lock()"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"))
    finally:
        bench.query("COMMIT")
    second.join()
    assert second.error is None, second.error
    assert second.rows == [(first,)] and first != before
    assert bench.query("SELECT 1 FROM list_marks") == []
    assert bench.query(DIFFERING) == []


def test_marks_of_too_many_essays_outdate_everything_within_a_request(bench):
    bench.reset()
    bench.query(BEFORE)
    bench.list("u")
    epoch, = bench.query("SELECT list_epoch()")
    bench.query(f"""
        INSERT INTO batch_results (batch_id, registration_at, registration_event_id, user_id, essay_count, essay_ids)
        SELECT 'large', '2025-06-02', {EVENT}, 'v', 100001, array_agg('e' || n) FROM generate_series(1, 100001) n""")
    bench.list("u")
    assert bench.query("SELECT list_epoch() - %s", [epoch[0]]) == [(1,)]
    assert bench.query("SELECT 1 FROM list_marks") == []


@pytest.mark.parametrize("marked, kept, dropped", [(300, 0, 0), (301, 0, 1), (301, 400, 0)])
def test_many_marks_outdate_everything_where_little_is_kept(bench, marked, kept, dropped):
    bench.reset()
    bench.query(MANY)
    bench.query("SELECT drop_list_marks()")
    bench.query("DELETE FROM batch_lists")
    bench.query("DELETE FROM batch_answers")
    bench.query("SELECT keep_batches('many', %s)", [kept])
    epoch, = bench.query("SELECT list_epoch()")
    bench.query("UPDATE batch_results SET essay_count = 3 WHERE registration_at <= "
                "'2025-06-01Z'::timestamptz + %s * interval '1 s'", [marked])
    bench.list("many")
    assert bench.query("SELECT list_epoch() - %s", [epoch[0]]) == [(dropped,)]


def test_a_list_that_is_kept_derives_nothing(bench):
    def written():
        return bench.query(" UNION ALL ".join(f"SELECT xmin::text FROM {table}" for table in (
            "batch_lists", "batch_answers", "list_users")))

    bench.reset()
    bench.query(BEFORE)
    bench.list("u", statuses=["PROCESSING"])
    bench.list("u")
    rows = written()
    bench.list("u")
    bench.list("u", statuses=["PROCESSING"])
    assert written() == rows


def test_a_change_of_a_batch_derives_the_status_of_no_other(bench):
    bench.reset()
    bench.query(BEFORE)
    bench.list("u", statuses=["PROCESSING"])
    kept = "SELECT batch_id, xmin::text FROM batch_lists ORDER BY 1"
    before = dict(bench.query(kept))
    bench.query(CHANGES["a completion"])
    bench.list("u", statuses=["PROCESSING"])
    assert [batch for batch, row in bench.query(kept) if before[batch] != row] == ["A"]


def test_rows_of_an_earlier_epoch_count_for_no_user(bench):
    bench.reset()
    bench.query(BEFORE)
    bench.list("u", statuses=["PROCESSING"])
    bench.query(CHANGES["a registration for another user"])
    bench.query("SELECT drop_list_marks()")
    bench.list("u", statuses=["PROCESSING"])
    bench.query("UPDATE batch_results SET essay_count = 7 WHERE batch_id = 'A'")
    assert bench.query(DIFFERING) == []


MANY = f"""
    INSERT INTO batch_results (batch_id, registration_at, registration_event_id, user_id, essay_count, essay_ids)
    SELECT 'B' || n, '2025-06-01Z'::timestamptz + n * interval '1 s', {EVENT}, 'many', 2, ARRAY['a' || n, 'b' || n]
    FROM generate_series(1, 2400) n;
    INSERT INTO essay_results (essay_id, first_result_at, result_batch_id, result_link_at, result_link_event_id)
    SELECT 'a' || n, '2025-06-05', 'B' || n, '2025-06-05', {EVENT} FROM generate_series(1, 2400, 4) n"""


def test_what_a_list_of_many_batches_leaves_the_next_goes_on_with(bench):
    """keep_user stops behind a portion: its time is up from the begin."""
    bench.reset()
    bench.query(MANY)
    kept = "SELECT count(*), count(status) FROM batch_lists WHERE user_id = 'many'"
    steps = []
    while not bench.query("SELECT 1 FROM list_users WHERE user_id = 'many' AND is_derived"):
        bench.query("SELECT keep_user('many', '-infinity')")
        steps += bench.query(kept)
    statuses = [*range(250, 2400, 250), 2400, 2400]  # the last call finds none
    assert steps == [(2000, 0), *((2400, kept) for kept in statuses)]
    assert bench.query("SELECT counts FROM list_users WHERE user_id = 'many'") == [
        ({"PROCESSING": 600, "REGISTERED": 1800},)]


def test_a_page_whose_answers_take_too_long_goes_on_with_the_next_request(bench):
    """keep_answers stops behind an answer: its time is up from the begin."""
    bench.reset()
    bench.query(BEFORE)
    bench.query("SELECT drop_list_marks()")
    lacking = "SELECT lacking FROM kept_page('u', NULL, NULL, NULL, 20, 0)"
    left = []
    while not left or left[-1]:
        left += bench.query(lacking)[0]
        bench.query("SELECT keep_answers(%s, '-infinity')", [left[-1] or []])
    assert left == [["F", "D", "A", "C"], ["D", "A", "C"], ["A", "C"], ["C"], None]
    assert bench.query(DIFFERING) == []


def test_pages_of_a_filter_by_cursor_and_by_offset_are_those_derived(bench):
    bench.reset()
    bench.query(MANY.replace("2400", "60"))
    for statuses in ("{REGISTERED}", "{PROCESSING}", "{REGISTERED,PROCESSING,REGISTERED}", "{FAILED}", "{}"):
        assert bench.query("""
            SELECT c.at, c.batch_id, o FROM (VALUES (NULL, NULL), ('2025-06-01Z'::timestamptz + interval '40 s', 'B40'),
              ('2025-06-01Z'::timestamptz + interval '41 s', 'B4')) AS c (at, batch_id), unnest('{0,3,70}'::int[]) AS o
            WHERE list_batches('many', %(statuses)s, c.at, c.batch_id, 7, o)
              <> derived_page('many', %(statuses)s, c.at, c.batch_id, 7, o)""", {"statuses": statuses}) == []


def test_a_session_that_may_not_write_derives_its_lists(bench):
    bench.reset()
    bench.query(BEFORE)
    kept = bench.list("u")
    bench.query("UPDATE batch_results SET essay_count = 7 WHERE batch_id = 'A'")
    marks = bench.query("SELECT id FROM list_marks")
    bench.query("SET default_transaction_read_only = on")
    try:
        derived = bench.list("u")
    finally:
        bench.query("RESET default_transaction_read_only")
    assert derived != kept
    assert bench.query("SELECT id FROM list_marks") == marks
    assert bench.list("u") == derived


def test_marks_that_no_list_takes_are_dropped_and_outdate_what_is_kept(bench):
    bench.reset()
    bench.query(BEFORE)
    before = bench.list("u")
    bench.query("UPDATE batch_results SET essay_count = 7 WHERE batch_id = 'A'")
    bench.query("INSERT INTO list_marks (essays, count) SELECT '{e}', 1 FROM generate_series(1, 50001)")
    for number in range(512):
        bench.query(f"UPDATE batch_results SET essay_count = {number} WHERE batch_id = 'D'")
    assert bench.query("SELECT count(*) <= 512 FROM list_marks") == [(True,)]
    assert bench.query(DIFFERING) == []
    assert bench.list("u") != before


def test_a_list_drops_marks_that_abound_and_derives_everything_again(bench):
    bench.reset()
    bench.query(BEFORE)
    before = bench.list("u")
    bench.query("UPDATE batch_results SET essay_count = 7 WHERE batch_id = 'A'")
    bench.query("INSERT INTO list_marks (essays, count) SELECT '{e}', 1 FROM generate_series(1, 50001)")
    assert bench.list("u") != before
    assert bench.query("SELECT count(*) FROM list_marks") == [(0,)]
    assert bench.query(DIFFERING) == []


@FEW
@hypothesis.given(ANY_CASE)
def test_lists_beside_commits_keep_nothing_outdated(bench, case):
    records, delivery = case
    bench.reset()
    # They may find some: commits come between the statements of one query.
    readers = [Reader(bench.env["RESULT_AGGREGATOR_SERVICE_DATABASE_URL"], DIFFERING) for _ in range(2)]
    try:
        bench.deliver(records, delivery)
    finally:
        for reader in readers:
            reader.stop()
    check_lists(bench, records, delivery)
