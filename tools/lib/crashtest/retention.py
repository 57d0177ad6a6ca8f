"""Batches leave the view by its retention while processes die. Each move of the horizon takes the batches of
one more day: they are published and committed, the scripts get fewer `days`, a process is killed as it
deletes, and events that come too late follow. The end is compared with the undisturbed view, from which
plain statements delete the same batches."""
import collections
import datetime
import json
import re
import time

import confluent_kafka
import stack

from . import log, verify
from .deployment import PARTITIONS
from .outside import AskingStream
from .slot import SWEEP_POINTS
from .stream import Stream

SAMPLE = "current"  # which links every essay to its batch
SAMPLE_DAY = datetime.date(2025, 6, 28)  # of every event of the samples
DATE = re.compile(str(SAMPLE_DAY).encode() + rb"(?=T)")
# Days of copies are so far apart that none is between the horizon and what is expired (SPAN_DAYS younger),
# also if midnight passes during the run.
APART_DAYS, AFTER_DAYS, SPAN_DAYS = 8, 2, 2
MOST_MOVES = 500
LATE = ("essays.registered.v1", "slot.assigned.v1", "phase.outcome.v1")
POLL_S = 0.2
PATIENCE_S = 5  # until another process is killed: its next life sweeps at once

# What hangs on a batch, by the page of retention.
LEAVE = """
    DELETE FROM essay_results WHERE linked_batch_id = ANY (%(ids)s);
    DELETE FROM phase_outcomes WHERE batch_id = ANY (%(ids)s);
    DELETE FROM assessments WHERE batch_id = ANY (%(ids)s);
    DELETE FROM batch_results WHERE batch_id = ANY (%(ids)s)"""


class AgingStream(AskingStream):
    """Takes the events of `queued`, which any thread appends, in turn with its own."""

    def __init__(self, seed):
        super().__init__(seed)
        self.queued = collections.deque()

    def __iter__(self):
        for event in super().__iter__():
            yield event
            if self.queued:
                yield self.queued.popleft()


def day_of(number):
    """Of the batches that the move with this number (from 0) takes."""
    return SAMPLE_DAY - datetime.timedelta(days=APART_DAYS * (MOST_MOVES - number))


def horizon_after(number):
    """A timestamp that the horizon has reached after this move."""
    return day_of(number) + datetime.timedelta(days=AFTER_DAYS)


class Retention:
    """`left`: the batches that the horizon has passed. The driver's thread."""

    def __init__(self, seed, deployment, producer):
        self.deployment, self.producer = deployment, producer
        self.copies = Stream(f"{seed}/old")
        self.reader = None
        self.moves, self.busy = 0, False
        self.left, self.late = [], 0

    @staticmethod
    def view_of(number):
        """The view whose horizon passes the batches of this move; -1: none."""
        today = datetime.datetime.now(datetime.timezone.utc).date()
        return stack.retaining_view((today - horizon_after(number)).days, SPAN_DAYS)

    def make_batches(self):
        """Events of the day of the next move, and their batches."""
        day, known = str(day_of(self.moves)).encode(), len(self.copies.batch_ids)
        events = [event._replace(value=DATE.sub(day, event.value)) for event in self.copies.copy_of(SAMPLE)]
        return events, self.copies.batch_ids[known:]

    def make_late(self, events):
        """Further events about the same, which are no duplicates."""
        late = [event for event in events if event.topic.endswith(LATE)]
        return [event._replace(value=json.dumps(json.loads(event.value) | {
            "event_id": self.copies.fresh_id().decode()}).encode()) for event in late]

    def are_acknowledged(self, events):
        return all(self.producer.acknowledged[event[:3]] for event in events)

    def ends(self):
        """Of the partitions; None if Kafka is down."""
        self.reader = self.reader or log.open_reader(self.deployment.kafka.brokers)
        try:
            return log.end_offsets(self.reader, self.deployment.topics, PARTITIONS, 2)
        except confluent_kafka.KafkaException:
            return None

    def steps(self, driver):
        """Yields until the next step is possible."""
        number = self.moves
        events, batches = self.make_batches()
        self.producer.stream.queued.extend(events)
        self.producer.stream.batch_ids.extend(batches)  # readers ask for them
        while not self.are_acknowledged(events):
            yield
        while not (ends := self.ends()):
            yield
        while not self.have_passed(driver, ends):
            yield
        self.moves += 1
        self.left += batches
        self.deployment.put_scripts({"view.lua": self.view_of(number)})
        driver.journal.note("retention", "moved", f"the horizon moves past {len(batches)} batches")
        yield from self.steps_of_sweep(driver, number)
        late = self.make_late(events)
        self.late += len(late)
        self.producer.stream.queued.extend(late)
        while not self.are_acknowledged(late):
            yield

    def have_passed(self, driver, ends):
        """Whether the database has every record before the ends."""
        rows = driver.ask("SELECT topic, partition, next_offset FROM aggregator_state.consumer_offsets")
        held = {(topic, partition): offset for topic, partition, offset in rows or ()}
        return bool(rows) and all(end == 0 or held.get(place, -1) >= end for place, end in ends.items())

    def steps_of_sweep(self, driver, number):
        """Kills processes until one has moved the horizon and deleted all: a reload would wait for its
        bake time. The first one dies again as it deletes."""
        driver.plan.demanded.append(driver.random.choice(SWEEP_POINTS))
        swept = f"SELECT swept_at FROM aggregator_state.retention WHERE horizon >= '{horizon_after(number)}' " \
            "AND swept_at IS NOT NULL"
        patience_until = 0
        while not driver.ask(swept):
            slot = next((slot for slot in driver.random.sample(driver.slots, len(driver.slots))
                         if slot.running() and not slot.frozen and not slot.ending), None)
            if slot and time.monotonic() >= patience_until:
                driver.journal.note("kill", str(slot), f"SIGKILL {slot}: its next life moves the horizon")
                slot.kill()
                patience_until = time.monotonic() + PATIENCE_S
            yield
        driver.journal.say("  all of it has left")

    def remove_what_left(self, clean_url):
        verify.query(clean_url, LEAVE, {"ids": self.left})


def move_horizon(driver):
    retention = driver.deployment.retention
    if retention.busy or retention.moves == MOST_MOVES:
        return False
    retention.busy = True
    steps = retention.steps(driver)

    def go_on():
        retention.busy = next(steps, "end") is None
        if retention.busy:
            driver.later(POLL_S, go_on)
    go_on()
    return True


def check_gone(deployment, left):
    """No cache of a process answers for a batch that has left."""
    paths = [f"/internal/v1/batches/{batch}/status" for batch in left]
    return [f"{slot} answers {path} with {status} after it has left" for slot in deployment.slots
            for path, (status, _) in zip(paths, verify.read_answers(slot.program, paths)) if status != 404]


def judge(deployment, findings):
    retention = deployment.retention
    findings.fact("batches left", len(retention.left), f"by {retention.moves} moves of the horizon; "
                  f"{retention.late} events about them came too late")
    findings.problems += check_gone(deployment, retention.left)
    expired = sum(counts["expired"] for _, counts in verify.offsets(deployment.database_url()).values())
    if expired != retention.late:
        findings.problems.append(f"{expired} events are expired, {retention.late} came too late")
    program = deployment.slots[0].program
    program.env["AGGREGATOR_FAULT"] = ""  # of its last life
    verified = program.command("verify", check=False).stdout
    if not verified.endswith("the view matches the log\n"):
        findings.problems.append(f"verify: {verified}")
