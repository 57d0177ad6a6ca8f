"""What is published for `tools/bench drain`: each stream is one or two files of records, and only
the last one's way is timed. The ids are random, so that none is like another's."""
import itertools
import random
import uuid

import spell_results
import stack
from crashtest.stream import exchanger

LATER = "2025-07-01T08:00:00.000000Z"  # than the sample's result
ESSAYS = 30  # of a batch
HOT_BATCHES = 10
MIXED = 100  # copies of the sample stream, of twelve batches each, that are under way at once


def in_batches(count):
    """Of essays that are new, in batches of their own: one batch of all would make the index over
    batches cheaper than it is."""
    for number in range(count):
        if number % ESSAYS == 0:
            batch_id = uuid.uuid4()
        yield {"event_id": uuid.uuid4(), "essay_id": uuid.uuid4(), "batch_id": batch_id}


def write_spell(folder, events):
    """Results of essays that are all new: a row each."""
    spell_results.write(folder / "1.jsonl", in_batches(events))


def write_again(folder, events):
    """Later results of essays that have one: updates."""
    first = list(in_batches(events))
    spell_results.write(folder / "1.jsonl", first)
    spell_results.write(folder / "2.jsonl", (one | {"event_id": uuid.uuid4(), "at": LATER}
                                             for one in first))


def write_hot(folder, events):
    """Results of the few essays of few batches, again and again, each later than the last."""
    batches = [uuid.uuid4() for _ in range(HOT_BATCHES)]
    essays = [uuid.uuid4() for _ in range(HOT_BATCHES * ESSAYS)]
    spell_results.write(folder / "1.jsonl", (
        {"event_id": uuid.uuid4(), "essay_id": essays[number % len(essays)],
         "batch_id": batches[number % len(essays) // ESSAYS],
         "at": f"2025-07-01T{number // 3600000:02}:{number // 60000 % 60:02}:"
               f"{number // 1000 % 60:02}.{number % 1000:03}000Z"} for number in range(events)))


def write_replayed(folder, events):
    """The same bytes twice: Redis knows them all."""
    write_spell(folder, events)
    (folder / "2.jsonl").write_bytes((folder / "1.jsonl").read_bytes())


def copy(lines):
    """The sample stream with other ids, line by line."""
    return map(exchanger(lambda: str(uuid.uuid4()).encode()), lines)


def mixed(lines, begun=False):
    """Many copies at once, each in its order: registration, slots, results, outcomes, assessments,
    the batches' ends. begun: the first copies are under way already, so that each part of the stream
    has the same kinds of events."""
    choose = random.Random(MIXED).randrange
    under_way = [itertools.islice(copy(lines), choose(len(lines)) if begun else 0, None)
                 for _ in range(MIXED)]
    while True:
        index = choose(MIXED)
        line = next(under_way[index], None)
        if line is None:
            under_way[index] = copy(lines)
            line = next(under_way[index])
        yield line


def sampled(name):
    """The lines of a sample that the program reads: whole lives of batches."""
    with open(stack.SAMPLES / f"{name}.jsonl", "rb") as sample:
        return [line for line in sample if stack.UNREAD_TOPIC.encode() not in line]


def write_lives(folder, events, sample):
    """Whole lives of batches, copied from a sample, more than a thousand at once."""
    with open(folder / "1.jsonl", "wb") as out:
        out.writelines(itertools.islice(mixed(sampled(sample)), events))


def write_lifecycle(folder, events):
    write_lives(folder, events, "current")


def write_first_release(folder, events):
    write_lives(folder, events, "first")


def write_lifecycle_new(folder, events):
    """The same events, each of a batch and of essays that no other has named: rows are inserted,
    and none is updated."""
    lines = itertools.islice(itertools.cycle(sampled("current")), events)
    with open(folder / "1.jsonl", "wb") as out:
        out.writelines(one for line in lines for one in copy([line]))


STREAMS = {"spell": write_spell, "again": write_again, "lifecycle": write_lifecycle,
           "lifecycle-new": write_lifecycle_new, "first-release": write_first_release,
           "hot": write_hot, "replayed": write_replayed}


def publish(servers, folder, name, events):
    """How many records are in front of those that are timed."""
    STREAMS[name](folder, events)
    for file in files(folder):
        servers.feed(file)
    return events * (len(files(folder)) - 1)


def files(folder):
    """The stream's, in order."""
    return sorted(folder.glob("[12].jsonl"))
