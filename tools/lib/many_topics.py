"""The service's scripts with handlers that read any number of topics, and events for them: for what
is measured and tested with thousands of partitions."""
import json
import re
import shutil
import uuid

import stack

HANDLER = "essay_slot_assigned.lua"
TOPICS_A_HANDLER = 50  # 64 are the most
AT = "2025-06-28T09:00:00.000000Z"


def names(count):
    return [f"many.topic.{number:03}.v1" for number in range(count)]


def write_scripts(folder, topics):
    """Writes a copy of the scripts into the folder; returns the environment that selects it."""
    shutil.copytree(stack.ROOT / "scripts", folder)
    for handler in (folder / "handlers").glob("*.lua"):
        if handler.name != HANDLER:
            handler.unlink()
    template = (folder / "handlers" / HANDLER).read_text()
    (folder / "handlers" / HANDLER).unlink()
    for first in range(0, len(topics), TOPICS_A_HANDLER):
        listed = ", ".join(f'"{topic}"' for topic in topics[first:first + TOPICS_A_HANDLER])
        text, edits = re.subn(r"topics = {.*?}", f"topics = {{ {listed} }}", template)
        assert edits == 1, HANDLER
        (folder / f"handlers/many_{first}.lua").write_text(text)
    return {"SCRIPTS_ROOT": str(folder), "AGGREGATOR_SCRIPTS_SPECS": ""}


def value(topic, batch_id, essay_id, filename):
    """An event's bytes. The row of the essay keeps the file's name."""
    return json.dumps({
        "event_id": str(uuid.uuid4()), "event_type": topic, "event_timestamp": AT,
        "source_service": "essay-lifecycle-service", "correlation_id": str(uuid.uuid4()),
        "data": {"batch_id": batch_id, "essay_id": essay_id, "file_upload_id": "upload",
                 "text_storage_id": "text", "original_file_name": filename, "timestamp": AT}}).encode()
