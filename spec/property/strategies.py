"""Hypothesis strategies: streams of few batches, essays, users and moments, so that events meet;
and ways to deliver them."""
import base64
import copy
import json
import random
import string

import events
from hypothesis import strategies as st
from stack import SAMPLES, UNREAD_TOPIC
from workbench import Delivery

# Incompressible, and longer than an index takes.
LONG_ID = "".join(random.Random(1).choices(string.ascii_letters, k=9000))
BATCHES = ["batch-1", "batch-2", "batch-3"]
ESSAYS = ["essay-1", "essay-2", "essay-3", "essay-4"]
PHASES = ["spellcheck", "cj_assessment", "nlp", "ai_feedback", "student_matching"]
OUTCOME_STATUSES = ["completed_successfully", "completed_with_failures", "failed_critically",
                    "cancelled", "content_ingestion_failed", "processing_pipelines"]
RESULT_STATUSES = ["spellchecked_success", "spellcheck_failed", "completed_successfully",
                   "awaiting_spellcheck"]
TEXTS = ["a.txt", "å😀.docx", "unknown", "quote'\"\\\t{,}.txt", "NULL", ""]
SCORES = [0.0, 2.998155, -1.25, 1e-9, 123456789.123456]


def few_of(names, key):
    """One of the first names; of how many is drawn once for a stream, so that in some all meet."""
    count_of = st.shared(st.integers(1, len(names)), key=key)
    return count_of.flatmap(lambda number: st.sampled_from(names[:number]))


batch = few_of(BATCHES, "batches")
essay = few_of(ESSAYS, "essays")
essays = st.lists(essay, max_size=4)  # with repetitions: producers are not trusted
moment = st.integers(0, 5).map(lambda seconds: seconds * 1_000_000 + seconds % 2)
count = st.integers(0, 4)
rank = st.integers(1, 4)
text = st.sampled_from(TEXTS)
run = st.sampled_from([events.CORRELATION, events.SECOND_RUN])
error = st.none() | text
score = st.sampled_from(SCORES)
maybe_score = st.none() | score
release = st.sampled_from(["current", "first"])
prompt = st.none() | st.sampled_from([{"references": {"student_prompt_text": {"storage_id": "å"}}},
                                      {"references": {}, "z": [1.50, None, "\x00"]}])

registered = st.builds(events.registered, release, moment, batch, essays, count,
                       st.sampled_from(["user-1", "user-2"]), prompt)
slot = st.builds(events.slot, moment, batch | st.just("guest-pending"), essay, text)
spellcheck = st.builds(events.spellcheck, moment, essay, batch, st.sampled_from(RESULT_STATUSES),
                       count, st.none() | st.sampled_from(["corr-1", "corr-2"]), error)
spellcheck_first = st.builds(
    events.spellcheck_first, moment, essay, st.none() | batch, st.sampled_from(RESULT_STATUSES),
    count, st.sampled_from(["corr-1", "corr-2"]), st.sampled_from(["default", "storage_id"]), error)
outcome = st.builds(events.outcome, batch, st.sampled_from(PHASES),
                    st.sampled_from(OUTCOME_STATUSES), essays, essays,
                    st.sampled_from([events.OUTCOME, events.OUTCOME_FIRST]),
                    # null, and another spelling of the same id
                    run | st.sampled_from([None, events.SECOND_RUN.upper()]))
ranked = essay | st.sampled_from(["ANCHOR_1", None])
rankings = st.builds(events.rankings, moment, batch,
                     st.lists(st.tuples(ranked, rank, maybe_score), max_size=4))
assessed = st.one_of(st.tuples(essay, rank, score, st.just(False)),
                     st.tuples(st.just("ANCHOR_1"), rank, score, st.just(True)))
assessment = st.builds(events.assessment, moment, batch, st.lists(assessed, max_size=4),
                       st.none() | st.sampled_from(["assignment-1", "assignment-2"]),
                       st.sampled_from(["1", "2"]), st.sampled_from(["A+", "U"]))
thin = st.builds(events.thin_completion, moment, batch)
completed = st.builds(events.completed, moment, batch, st.sampled_from(OUTCOME_STATUSES), count,
                      count, run)
KINDS = [slot, spellcheck, spellcheck_first, outcome, rankings, assessment, completed, thin]


# ---- malformed events

def without(*path):
    def spoil(value):
        for name in path[:-1]:
            value = value[name]
        value.pop(path[-1], None)
    return spoil


def without_ids(value):
    value["data"]["system_metadata"]["entity"] = value["data"]["entity_ref"] = None


def setting(wrong, *path):
    def spoil(value):
        for name in path[:-1]:
            value = value[name]
        value[path[-1]] = wrong
    return spoil


ANY_EVENT = [without("event_id"), setting("none", "event_id"), setting(None, "event_id"),
             without("data"), setting([], "data"), setting("text", "data")]
SPOILS = {
    events.REGISTERED: [without("data", "user_id"), setting(2**31, "data", "expected_essay_count"),
                        setting(["a\0b"], "data", "essay_ids"),
                        setting([LONG_ID], "data", "essay_ids"),
                        setting(LONG_ID, "data", "user_id"),
                        without("data", "metadata", "timestamp"),
                        setting("ENG8", "data", "course_code"),
                        setting({"a": "\ud800"}, "data", "student_prompt_ref")],
    events.SLOT: [setting("a\0b", "data", "original_file_name"), without("data", "essay_id"),
                  setting("yesterday", "data", "timestamp"), setting(7, "data", "batch_id"),
                  setting(LONG_ID, "data", "batch_id")],
    events.SPELLCHECK: [setting("", "data", "batch_id"), setting(LONG_ID, "data", "batch_id"),
                        setting(2**31, "data", "corrections_made"),
                        setting("good", "data", "status"), without("data", "timestamp")],
    events.SPELLCHECK_FIRST: [setting("good", "data", "status"),
                              setting(1.5, "data", "corrections_made"),
                              without_ids,
                              without("data", "timestamp")],
    events.OUTCOME: [without("event_timestamp"), setting("spelling", "data", "phase_name"),
                     setting("good", "data", "phase_status"),
                     setting([None], "data", "failed_essay_ids"),
                     setting([LONG_ID], "data", "failed_essay_ids"),
                     setting([{"essay_id": 1}], "data", "processed_essays")],
    events.CJ_COMPLETED: [without("data", "timestamp"),
                          setting([{"els_essay_id": "essay-1", "rank": 2**31}], "data", "rankings"),
                          setting({}, "data", "rankings")],
    events.ASSESSMENT: [without("data", "batch_id"), setting([{}], "data", "essay_results"),
                        setting(None, "data", "essay_results")],
    events.COMPLETED: [without("data", "metadata"), setting("done", "data", "final_status"),
                       setting("4", "data", "failed_essay_count")],
}
SPOILS[events.OUTCOME_FIRST] = SPOILS[events.OUTCOME]
RAW = [None, b"", b"{", b"[1,2,3]", b"null", b'{"event_id": "\xff\xfe\x80"}', b"NaN"]


def raw_record(topic, payload):
    encoded = None if payload is None else base64.b64encode(payload).decode()
    return {"topic": topic, "key": None, "raw_b64": encoded, "poison": "raw"}


@st.composite
def malformed(draw, well_formed):
    topic = well_formed["topic"]
    how = draw(st.integers(0, len(RAW) + len(ANY_EVENT) + len(SPOILS[topic])))
    if how < len(RAW):
        return raw_record(topic, RAW[how])
    if how == len(RAW):
        return raw_record(topic, json.dumps(well_formed["value"]).encode()[:-1])
    value = copy.deepcopy(well_formed["value"])
    (ANY_EVENT + SPOILS[topic])[how - len(RAW) - 1](value)
    return raw_record(topic, json.dumps(value).encode()) | {"poison": f"spoilt {how}"}


# ---- streams and deliveries

@st.composite
def streams(draw):
    """Records of some kinds of events, which differ from stream to stream so that any two kinds
    meet alone too. Ids grow or not, as drawn: they decide between equal times."""
    kinds = [registered, *draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5))]
    least = draw(st.sampled_from([0, 6, 12, 18]))  # left alone, hypothesis draws short lists
    records = []
    for index, way in enumerate(draw(st.lists(st.integers(0, 15), min_size=least,
                                              max_size=least + 6))):
        number = (draw(st.integers(0, 7)) << 120) + index
        well_formed = [record for record in records if "value" in record]
        if way == 15 and well_formed:  # a relay's second publication
            original = draw(st.sampled_from(well_formed))
            records.append(events.published_again(original, number, draw(moment)))
            continue
        event = draw(draw(st.sampled_from(kinds)))
        record = events.record(number, draw(moment), event)
        records.append(draw(malformed(record)) if way == 14 else record)
    return records


@st.composite
def deliveries(draw, records):
    length = len(records)
    order = draw(st.permutations(range(length)))
    if length:
        order = order + draw(st.lists(st.integers(0, length - 1), max_size=5))
    processes = draw(st.integers(1, 4))
    steps = [(index, draw(st.integers(0, processes - 1)), draw(st.integers(0, 3)) == 3)
             for index in order]
    return Delivery(steps, draw(st.booleans()))


@st.composite
def cases(draw):
    records = draw(streams())
    return records, draw(deliveries(records))


def read_sample(name):
    """The records of a sample stream, on topics that the program reads."""
    lines = (SAMPLES / f"{name}.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return [record for record in records if record["topic"] != UNREAD_TOPIC]


SAMPLE_STREAMS = {name: read_sample(name)
                  for name in ["current", "first", "first-unlinked", "current-hard",
                                                 "second-run"]}


@st.composite
def sample_cases(draw):
    records = SAMPLE_STREAMS[draw(st.sampled_from(sorted(SAMPLE_STREAMS)))]
    return records, Delivery.at_random(len(records), draw(st.integers(0, 2**32)))
