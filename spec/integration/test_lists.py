"""A user's batches: order, pages, filters, and invalid parameters."""
import contextlib
import json
import urllib.parse

import pytest
from harness import expectations, read_records
from stack import HEADERS, wait_until
from views import status_path

USER = "teacher-list"
OWN = ["REGISTERED", "PROCESSING", "PARTIALLY_COMPLETED", "COMPLETED", "FAILED", "CANCELLED"]
# The platform's internal words, by the own status that a batch in that state has.
INTERNAL = {
    "REGISTERED": ["awaiting_content_validation", "awaiting_pipeline_configuration"],
    "PROCESSING": ["processing_pipelines", "awaiting_student_validation",
                   "student_validation_completed", "validation_timeout_processed",
                   "guest_class_ready"],
    "PARTIALLY_COMPLETED": ["completed_with_failures"], "COMPLETED": ["completed_successfully"],
    "FAILED": ["failed_critically", "content_ingestion_failed"], "CANCELLED": ["cancelled"]}
CLIENT = {"REGISTERED": ["pending_content"], "PROCESSING": ["processing"],
          "PARTIALLY_COMPLETED": ["completed_with_failures"],
          "COMPLETED": ["completed_successfully"], "FAILED": ["failed"],
          "CANCELLED": ["cancelled"]}


def list_of(program, user, **query):
    text = urllib.parse.urlencode(query)
    status, body, _ = program.get(f"/internal/v1/batches/user/{user}?{text}")
    return status, json.loads(body)


def ids_of(listed):
    return [batch["batch_id"] for batch in listed["batches"]]


def newest_first(batches):
    """Batches in the order of lists: newest first, ties by id."""
    by_id = sorted(batches, key=lambda batch: batch["batch_id"])
    return sorted(by_id, key=lambda batch: batch["created_at"], reverse=True)


@pytest.fixture(scope="module")
def user_batches(fed):
    """{user_id: its expected batches, newest first} of the fed streams."""
    users = {}
    for stream in ("current", "first"):
        for batch in expectations(stream).values():
            users.setdefault(batch["user_id"], []).append(batch)
    return {user: newest_first(batches) for user, batches in users.items()}


def test_newest_batches_come_first(fed, user_batches):
    for user, batches in user_batches.items():
        status, listed = list_of(fed.program, user, limit=100)
        assert status == 200
        assert ids_of(listed) == [batch["batch_id"] for batch in batches]
        assert listed["pagination"] == {"limit": 100, "offset": 0, "total": len(batches),
                                        "next_cursor": None}


def test_a_listed_batch_equals_the_response_of_its_path(fed, user_batches):
    user, batches = next(iter(user_batches.items()))
    _, body, _ = fed.program.get(f"/internal/v1/batches/user/{user}")
    for batch in batches:
        assert fed.program.get(status_path(batch["batch_id"]))[1] in body


def test_pages_by_offset(fed, user_batches):
    user, batches = max(user_batches.items(), key=lambda item: len(item[1]))
    pages = [list_of(fed.program, user, limit=1, offset=offset)[1]
             for offset in range(len(batches) + 1)]
    assert [ids_of(page) for page in pages] == [[batch["batch_id"]] for batch in batches] + [[]]
    assert {page["pagination"]["total"] for page in pages} == {len(batches)}


def test_an_unknown_user_has_an_empty_list(fed):
    status, body, _ = fed.program.get("/internal/v1/batches/user/nobody")
    assert (status, body) == (
        200,
        b'{"batches":[],"pagination":{"limit":20,"offset":0,"total":0,"next_cursor":null}}')


@pytest.mark.parametrize("own", OWN)
def test_filters_take_three_vocabularies(fed, user_batches, own):
    for user, batches in user_batches.items():
        wanted = [batch["batch_id"] for batch in batches if batch["result_status"] == own]
        for word in [own, *CLIENT[own], *INTERNAL[own]]:
            status, listed = list_of(fed.program, user, status=word, limit=100)
            assert (status, ids_of(listed)) == (200, wanted), word
            assert listed["pagination"]["total"] == len(wanted)


def test_lists_use_the_vocabulary_of_their_caller(fed, user_batches):
    internal = {"pending_content": "awaiting_content_validation",
                "processing": "processing_pipelines", "failed": "failed_critically"}
    for user, batches in user_batches.items():
        answer = fed.program.get(f"/internal/v1/batches/user/{user}?limit=100",
                                 HEADERS | {"X-Service-ID": "bff-teacher-service"})
        told = {batch["batch_id"]: batch["overall_status"]
                for batch in json.loads(answer[1])["batches"]}
        assert told == {batch["batch_id"]: internal.get(batch["overall_status"],
                                                        batch["overall_status"])
                        for batch in batches}


@pytest.mark.parametrize("word", ["ready", "ready_for_pipeline_execution"])
def test_a_status_without_batches_gives_an_empty_list(fed, user_batches, word):
    for user in user_batches:
        status, listed = list_of(fed.program, user, status=word)
        assert (status, ids_of(listed), listed["pagination"]["total"]) == (200, [], 0)


def test_filters_take_several_words_of_different_vocabularies(fed, user_batches):
    user, batches = max(user_batches.items(), key=lambda item: len(item[1]))
    wanted = [batch["batch_id"] for batch in batches
              if batch["result_status"] in ("FAILED", "COMPLETED", "PROCESSING")]
    _, listed = list_of(fed.program, user, status="failed_critically,COMPLETED,processing")
    assert ids_of(listed) == wanted


def test_an_empty_filter_is_no_filter(fed, user_batches):
    user, batches = next(iter(user_batches.items()))
    assert len(list_of(fed.program, user, status="")[1]["batches"]) == len(batches)


@pytest.mark.parametrize("query, word", [
    ("limit=0", "limit"), ("limit=101", "limit"), ("limit=-1", "limit"), ("limit=ten", "limit"),
    ("limit=", "limit"), ("limit=1.5", "limit"), ("limit=99999999999999999999", "limit"),
    ("offset=-1", "offset"), ("offset=x", "offset"), ("offset=99999999999999999999", "offset"),
    ("status=nonsense", "nonsense"), ("status=failed,nonsense", "nonsense"),
    ("status=,", "status"), ("status=Failed", "Failed"), ("cursor=", "cursor"),
    ("cursor=abc", "cursor"), ("cursor=2025-99-99T00:00:00.000000%7Cx", "cursor"),
    ("cursor=2025-02-29T00:00:00.000000%7Cx", "cursor"),
    ("cursor=2025-06-28T24:00:00.000000%7Cx", "cursor"),
    ("cursor=0000-06-28T08:00:00.000000%7Cx", "cursor"),
    ("cursor=2025-06-28T08:00:00.000000", "cursor"),
    ("cursor=2025-06-28T08:00:00.000000%7C", "cursor"),
    ("cursor=2025-06-28T08:00:00.000000%7C%00", None), ("limit=%ff", None), ("limit=%zz", None)])
def test_a_wrong_parameter_is_refused_with_the_reason(fed, user_batches, query, word):
    user = next(iter(user_batches))
    status, body, _ = fed.program.get(f"/internal/v1/batches/user/{user}?{query}")
    assert status == 400, body
    reason = json.loads(body)["error"]
    assert word is None or word in reason, reason


def registration(batch_id, created_at):
    """A registration of its own, shaped as a sample's."""
    sample = next(record["value"] for record in read_records("current")
                  if record["topic"] == "huleedu.batch.essays.registered.v1")
    data = sample["data"] | {"entity_id": batch_id, "user_id": USER, "essay_ids": [],
                             "metadata": sample["data"]["metadata"] | {"timestamp": created_at}}
    return {"topic": "huleedu.batch.essays.registered.v1", "key": batch_id,
            "value": sample | {"event_id": f"00000000-0000-4000-8000-{int(batch_id[1:]):012}",
                               "data": data}}


@pytest.fixture(scope="module")
def many(make_service):
    """A service where one user has 47 batches, many of one moment."""
    with contextlib.ExitStack() as cleanup:
        service = make_service(cleanup)
        service.start()
        service.publish([registration(f"b{number:03}", f"2025-06-28T08:00:{number % 5:02}.000001Z")
                         for number in range(47)])
        service.wait_committed(47)
        yield service


def test_the_batch_id_breaks_ties(many):
    _, listed = list_of(many.program, USER, limit=100)
    assert listed["batches"] == newest_first(listed["batches"])
    assert len(listed["batches"]) >= 47


@pytest.mark.parametrize("limit", [1, 7, 20, 47, 100])
def test_paging_by_cursor_gives_every_batch_once(many, limit):
    everything = ids_of(list_of(many.program, USER, limit=100)[1])
    walked, query = [], {"limit": limit}
    while True:
        status, listed = list_of(many.program, USER, **query)
        assert status == 200
        walked += ids_of(listed)
        assert len(walked) <= len(everything)
        if listed["pagination"]["next_cursor"] is None:
            break
        query["cursor"] = listed["pagination"]["next_cursor"]
    assert walked == everything


def test_a_batch_registered_while_paging_neither_repeats_nor_hides_another(many):
    everything = ids_of(list_of(many.program, USER, limit=100)[1])
    first = list_of(many.program, USER, limit=10)[1]
    many.publish([registration("b900", "2025-06-28T09:00:00.000000Z")])
    many.wait_committed(48)
    rest = list_of(many.program, USER, limit=100, cursor=first["pagination"]["next_cursor"])[1]
    assert ids_of(first) + ids_of(rest) == everything


MANY = """INSERT INTO batch_results (batch_id, registration_at, registration_event_id, user_id,
  essay_count, essay_ids, first_release)
SELECT 'many-' || n, '2025-06-28T08:00:00Z'::timestamptz + n * interval '1 second', gen_random_uuid(),
  'teacher-of-many', 2, ARRAY['many-' || n || '-a', 'many-' || n || '-b'], false
FROM generate_series(1, 400) n"""


@pytest.mark.parametrize("word, total", [("", 400), ("processing", 0), ("pending_content", 400)])
def test_the_first_list_of_a_user_with_many_batches_is_answered(fed, word, total):
    """No status of theirs is kept. A machine that is too busy for it says 503, and has come further."""
    user = f"teacher-of-many-{word}"
    fed.query(MANY.replace("many", f"many-{word}"))

    def answer():
        status, listed = list_of(fed.program, user, limit=20, status=word)
        return status == 200 and listed

    listed = wait_until("the list", answer)
    assert listed["pagination"]["total"] == total
    newest = range(400, 380, -1) if total else ()
    assert ids_of(listed) == [f"many-{word}-{number}" for number in newest]
