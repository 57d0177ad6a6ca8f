"""Processes that apply streams and publish, and that end at fault points; the messages in Kafka;
and the messages that the model expects."""
import contextlib
import json
import math

import model
import outgoing_forms
import published
import stack
from workbench import Apply

# On the way from a batch to what is published of it, in this order.
POINTS = ("before_commit", "after_commit_sent", "after_commit", "reaction_taken", "reaction_asked",
          "reaction_commit", "reaction_stored", "outbox_lease", "outbox_produced",
          "outbox_acknowledged", "outbox_noted")
PATIENCE = 100  # conflicts with other processes in a row
EMPTY = """TRUNCATE aggregator_state.reaction_marks, aggregator_state.outbox;
           UPDATE aggregator_state.outbox_relay SET until = '-infinity'"""
# Its holder is dead: nobody has to wait until the lease has run out.
FREE_LEASE = """UPDATE aggregator_state.outbox_relay SET until = '-infinity'
                WHERE split_part(holder, ':', 2) = %s"""
LEFT = """SELECT (SELECT count(*) FROM aggregator_state.reaction_marks)
          + (SELECT count(*) FROM aggregator_state.outbox WHERE state = 'pending')"""


class Publishing:
    """Beside a Workbench, whose database and Redis it uses."""

    def __init__(self, bench, build, kafka):
        self.bench, self.build, self.kafka = bench, build, kafka
        self.env = bench.env | {"KAFKA_BOOTSTRAP_SERVERS": kafka.brokers,
                                "OUTBOX_HORIZON_HOURS": "876000"}
        self.reader = published.Reader(kafka.brokers)
        self.reached = []  # faults since the last reset

    def close(self):
        self.reader.close()

    def reset(self):
        self.bench.reset()
        self.bench.query(EMPTY)
        self.reader.read()
        self.reached.clear()

    def start(self, fault=None):
        """fault: (point, passing), at which the process is killed; or None."""
        setting = "{}:{}:KILL".format(*fault) if fault else ""
        return Apply(self.build, self.env | {"AGGREGATOR_FAULT": setting,
                                             "REDIS_URL": "none"}, ["--publish"])

    def is_quiet(self):
        return self.bench.query(LEFT) == [(0,)]

    def end(self, process, fault):
        """Kills it if it runs."""
        if process.process.poll() is not None:
            self.reached.append(fault)
        process.kill()
        self.bench.query(FREE_LEASE, (str(process.process.pid),))

    def live(self, batches, fault):
        """Runs one process until all is published or its fault point; returns the remaining
        batches."""
        process = self.start(fault)
        for number, batch in enumerate(batches):
            if not commit(process, batch):
                process.process.wait()
                self.end(process, fault)
                return batches[number:]
        stack.wait_until("the end of a process, or of what it has to publish",
                         lambda: process.process.poll() is not None or self.is_quiet(),
                         interval_s=0.005)
        self.end(process, fault)
        return []

    def run_lane(self, batches, faults):
        """Runs processes with these faults in turn, then one without."""
        for fault in faults:
            batches = self.live(batches, fault)
        assert self.live(batches, None) == []

    def deliver(self, records, delivery, faults):
        """Every lane at once. faults: of each lane's lives, in turn."""
        lanes = delivery.lanes(records)
        waiting = [self.bench.threads.submit(self.run_lane, batches, faults[number::len(lanes)])
                   for number, batches in enumerate(lanes.values())]
        for lane in waiting:
            lane.result()

    def read(self):
        """New messages in Kafka since the last reset or read, and the outbox's rows."""
        return self.reader.read(), self.bench.query(published.ROWS)


def commit(process, batch):
    """False: it has died. A conflict is another process' commit, or one's own whose answer was lost."""
    for _ in range(PATIENCE):
        try:
            answer = process.commit(batch)
        except BrokenPipeError:
            return False
        if answer in ("ok", ""):
            return answer == "ok"
        assert answer.startswith("conflict: "), answer
    raise AssertionError(f"no progress after {PATIENCE} conflicts")


# ---- what must be published

def phase(completed, failed, seconds):
    return {"status": "completed_with_failures" if failed else "completed",
            "completed_count": completed, "failed_count": failed,
            "processing_time_seconds": seconds}


def phases_of(row):
    """By the phases' outcomes."""
    phases = {"spellcheck": phase(0, 0, None),
              "cj_assessment": phase(row["judged"], row["unjudged"], row["judging_s"])}
    for said in row["phases"]:
        known = phases.get(said["phase_name"])
        if known:
            phases[said["phase_name"]] = phase(said["completed"], said["failed"],
                                               known["processing_time_seconds"])
    return phases


def result_facts(row):
    """(topic, key, part of its data) of what is published of a run that has ended."""
    phases, at = phases_of(row), model.wire_time(row["at"]) + "Z"
    said = {"overall_status": row["status"], "total_essays": row["essay_count"],
            "completed_essays": row["completed"], "processing_duration_seconds": row["duration_s"]}
    message = f"Batch {row['key']} processing completed with " \
        f"{row['completed']}/{row['essay_count']} essays"
    return [(outgoing_forms.READY, row["key"], {
        "batch_id": row["key"], "user_id": row["user_id"], "timestamp": at, **said,
        "phase_results": {name: {"phase_name": name, **phases[name]} for name in phases}}),
            notified(row, at, said | {"phase_results": phases, "message": message})]


def judgement_facts(row):
    at = model.wire_time(row["at"]) + "Z"
    names = {"essay_ids": "essay_id", "ranks": "rank", "scores": "score",
             "letter_grades": "letter_grade", "confidence_scores": "confidence_score",
             "confidence_labels": "confidence_label"}
    students = [dict(zip(names.values(), student))
                for student in zip(*(row[column] for column in names))]
    return [(outgoing_forms.JUDGED, row["key"], {
        "batch_id": row["key"], "user_id": row["user_id"], "timestamp": at,
        "assessment_job_id": row["job_id"], "rankings_summary": students}),
            notified(row, at, {
                "assessment_job_id": row["job_id"], "rankings_available": bool(students),
                "rankings_count": len(students),
                "message": f"Comparative judgment assessment completed for batch {row['key']}"})]


def notified(row, at, payload):
    return outgoing_forms.NOTIFIED, row["user_id"], {
        "batch_id": row["key"], "timestamp": at, "payload": {"batch_id": row["key"], **payload}}


def facts(records):
    """Those of the view in the end; what was true on the way there may be published too."""
    expected = model.Model(records)
    return [fact for row in expected.result_rows() for fact in result_facts(row)] + \
        [fact for row in expected.judgement_rows() for fact in judgement_facts(row)]


def says(data, part):
    """Whether the data has all of the part, and its numbers to their last digits but one."""
    if isinstance(part, dict):
        return isinstance(data, dict) and all(name in data and says(data[name], part[name])
                                              for name in part)
    if isinstance(part, list):
        return isinstance(data, list) and len(data) == len(part) and \
            all(map(says, data, part))
    if isinstance(part, float):
        return isinstance(data, (int, float)) and \
            math.isclose(data, part, rel_tol=1e-9, abs_tol=1e-12)
    return data == part


def check(records, messages, rows):
    """Fails unless these are the facts of the records: each there, each under one id."""
    assert published.check(messages, rows) == []
    said = [(message.topic, message.key, json.loads(message.value)["data"])
            for message in messages]
    for fact in facts(records):
        assert any(fact[:2] == one[:2] and says(one[2], fact[2]) for one in said), fact
    registered = set(model.Model(records).answers())
    assert {data["batch_id"] for *_, data in said} <= registered


@contextlib.contextmanager
def publishing(bench, build, folder):
    with contextlib.ExitStack() as cleanup:
        kafka = stack.EmbeddedKafka(folder, build, list(outgoing_forms.TOPICS))
        cleanup.callback(kafka.stop)
        it = Publishing(bench, build, kafka.start())
        cleanup.callback(it.close)
        yield it
