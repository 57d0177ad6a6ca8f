"""tools/bare, the reference of tools/bench drain: it writes what the pipeline writes."""
import json
import os
import re
import subprocess
import uuid

import pytest
import stack
from bench import bare, streams
from crashtest import verify

TABLES = re.findall(r'^    name = "(\w+)",$', (stack.ROOT / "scripts/view.lua").read_text(), re.MULTILINE)


def migrated(build, postgres_url, folder):
    url = stack.create_database(postgres_url, f"bare_{uuid.uuid4().hex}")
    stack.Aggregator(folder, build, url, "none", "127.0.0.1:9").command("migrate")
    return url


def rows(url):
    return {table: verify.query(url, f"SELECT t::text FROM {table} t ORDER BY 1") for table in TABLES}


@pytest.fixture(scope="module")
def applied(build, postgres_url, tmp_path_factory):
    """The rows of a stream that apply wrote, and the stream's file."""
    folder = tmp_path_factory.mktemp("applied")
    url, file = migrated(build, postgres_url, folder), folder / "1.jsonl"
    lines = streams.sampled("current")
    file.write_bytes(b"".join(lines))
    said = [json.dumps(json.loads(line) | {"partition": 0, "offset": number})
            for number, line in enumerate(lines)]
    done = subprocess.run([build / "apply"], input="\n".join([*said, "commit", "quit", ""]), text=True,
                          stdout=subprocess.PIPE, check=True,
                          env=os.environ | {"RESULT_AGGREGATOR_SERVICE_DATABASE_URL": url, "REDIS_URL": "none"})
    assert done.stdout.split() == ["ok"]
    return rows(url), file


@pytest.mark.parametrize("connections, batch", [(1, 4000), (3, 7)])
def test_bare_writes_the_rows_of_every_table(applied, build, postgres_url, tmp_path, connections, batch):
    wanted, file = applied
    assert all(wanted.values())
    url = migrated(build, postgres_url, tmp_path)
    figures = bare.measured([build / "bare", stack.ROOT / "config.lua", file, connections, batch, url], 100)
    assert figures["events_per_second"] > 0
    assert rows(url) == wanted


def test_bare_names_a_line_that_is_no_record(build, tmp_path):
    file = tmp_path / "1.jsonl"
    file.write_text("{}\n")
    done = subprocess.run([build / "bare", stack.ROOT / "config.lua", file, "1", "10", "postgresql://127.0.0.1:9/x"],
                          stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "bare: line 1 is no record\n")
