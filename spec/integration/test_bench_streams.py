"""The streams of tools/bench."""
import collections
import json

import pytest
import spell_results
from bench import stream, streams


def essays_of_batches(*paths):
    """How many essays each batch has in the spell checks of the files."""
    essays = collections.defaultdict(set)
    for path in paths:
        for record in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            data = record["value"]["data"]
            if record["topic"] == spell_results.TOPIC:
                essays[data["batch_id"]].add(data["entity_id"])
    return [len(named) for named in essays.values()]


@pytest.mark.parametrize("name", ["spell", "again", "hot", "replayed"])
def test_a_stream_of_spell_checks_names_batches_of_thirty_essays(name, tmp_path):
    streams.STREAMS[name](tmp_path, 600)
    assert set(essays_of_batches(*tmp_path.glob("*.jsonl"))) == {30}


def test_the_backlog_beside_queries_names_batches_of_thirty_essays(tmp_path):
    events = stream.Stream()
    events.write_registered(tmp_path / "registered.jsonl")
    assert essays_of_batches(tmp_path / "registered.jsonl") == [30] * stream.BATCHES
    events.write_backlog(tmp_path / "backlog.jsonl", 3000)
    essays = essays_of_batches(tmp_path / "backlog.jsonl")
    assert max(essays) == 30 and len(essays) >= 100
