"""Makes any number of spell-check results from a sample by text replacement: to write them as JSON
objects would take longer than to consume them."""
import json

import stack

TOPIC = "huleedu.essay.spellcheck.results.v1"


def sample():
    with open(stack.SAMPLES / "current.jsonl", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if record["topic"] == TOPIC and record["value"]["data"]["status"].endswith("success"):
                return record
    raise AssertionError("no spell-check result among the samples")


def template():
    """(a record's line in which % fills in event_id, essay_id, batch_id, at and corrections, what
    the sample has there)."""
    record = sample()
    data = record["value"]["data"]
    held = {"event_id": record["value"]["event_id"], "essay_id": data["entity_id"],
            "batch_id": data["batch_id"], "at": data["timestamp"],
            "corrections": f'"corrections_made": {data["corrections_made"]}'}
    text = json.dumps(record).replace("%", "%%") + "\n"
    for name, old in held.items():
        text = text.replace(old, f"%({name})s")
    return text.replace("%(corrections)s", '"corrections_made": %(corrections)s'), \
        held | {"corrections": data["corrections_made"]}


def write(path, changes):
    """Writes one record for each of `changes`: what it has otherwise than the sample."""
    text, held = template()
    with open(path, "w", encoding="utf-8") as out:
        out.writelines(text % (held | change) for change in changes)
