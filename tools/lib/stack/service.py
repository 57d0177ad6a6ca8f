"""This service: its paths, keys and topics, and changed copies of its configuration and scripts."""
import pathlib
import re
import shutil

ROOT = pathlib.Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "spec/fixtures/samples"
FULL_CONFIG = ROOT / "spec/fixtures/config/full.lua"  # that of an earlier release
KAFKA_JARS = ROOT / ".kafka"
API_KEY = "test-key"
UNREAD_TOPIC = "huleedu.batch.spellcheck.phase.completed.v1"


def roots(tree):
    """Environment: the paths of a checkout's scripts and SQL, for any configuration file."""
    return {"SCRIPTS_ROOT": str(tree / "scripts"), "SQL_ROOT": str(tree / "sql")}


ROOTS = roots(ROOT)
HEADERS = {"X-Internal-API-Key": API_KEY, "X-Service-ID": "admin-dashboard-service"}


def topics_of(service):
    """Every topic that a handler of a service declares; the service is a folder."""
    found = set()
    for file in (service / "scripts/handlers").glob("*.lua"):
        declared = re.search(r"topics\s*=\s*{(.*?)}", file.read_text(), re.S)
        found |= set(re.findall(r'"([^"]+)"', declared[1])) if declared else set()
    return sorted(found)


def topics():
    """Those of this service, and one that no handler reads."""
    return topics_of(ROOT) + [UNREAD_TOPIC]


def edited_config(path, *edits):
    """Writes a copy of a configuration that names every key, with edits: (old text, new text)."""
    text = FULL_CONFIG.read_text()
    for old, new in edits:
        assert text.count(old) == 1, f"{old}: later keys are in no line of {FULL_CONFIG}: add yours"
        text = text.replace(old, new)
    path.write_text(text)
    return path


def retaining_view(days, span_days):
    """The text of the service's view.lua, with a retention of its batches."""
    retention = f"""    retention = {{
      days = {days},
      span_days = {span_days},
      by = "registration",
      with = {{ phase_outcomes = "batch_id", assessments = "batch_id", essay_results = "linked_batch_id" }},
    }},
"""
    before = '    name = "batch_results",\n'
    text = (ROOT / "scripts/view.lua").read_text()
    assert text.count(before) == 1
    return text.replace(before, before + retention)


def with_retention(folder, days, span_days):
    """Copies the service's scripts into the folder, with a retention of its batches; the folder."""
    shutil.copytree(ROOT / "scripts", folder)
    (folder / "view.lua").write_text(retaining_view(days, span_days))
    return folder
