"""Follows docs/TUTORIAL.md in a copy of the tree: writes its files, runs its commands, and checks
that specs fail and pass as it says. Then the service runs, and takes the request of the route that
writes."""
import json
import pathlib
import re
import shutil
import subprocess
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILE_BLOCK = re.compile(r"\*\*`([^`]+)`\*\*([^\n]*)\n\n```\w*\n(.*?)^```$", re.S | re.M)
COMMAND = "build/aggregator "
POST = re.compile(r"-d '([^']+)'.*?http://127\.0\.0\.1:4003(\S+)", re.S)


def copy_tree(folder, build):
    for name in ("config.lua", "scripts", "sql", "spec"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    (folder / "build").symlink_to(build)


def write(folder, path, where, text):
    file = folder / path
    if "at the end of the list" in where:
        before, end, after = file.read_text().rpartition("}")
        text = before + text + end + after
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def run(folder, command):
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def follow(folder):
    """Step by step; returns the output of each command of the program."""
    text = (ROOT / "docs/TUTORIAL.md").read_text()
    outputs = []
    for part in re.split(r"^(?=```sh$)", text, flags=re.M):
        for command in re.findall(r"\A```sh\n(.*?)^```$", part, re.S | re.M):
            for line in command.splitlines():
                if line.startswith(COMMAND):
                    outputs.append(run(folder, line))
        for path, where, content in FILE_BLOCK.findall(part):
            write(folder, path, where, content)
    return outputs


def send_note(program):
    """The tutorial's POST: status, body and Location."""
    body, path = POST.search((ROOT / "docs/TUTORIAL.md").read_text()).groups()
    request = urllib.request.Request(
        f"http://127.0.0.1:{program.port}{path}", body.encode(),
        program.headers | {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return answer.status, json.load(answer), answer.headers["Location"].removeprefix(path)


def check_service(bare_service, folder):
    program = bare_service.prepare(SCRIPTS_ROOT=str(folder / "scripts"),
                                   SQL_ROOT=str(folder / "sql"))
    program.command("migrate")
    program.start()
    status, note, place = send_note(program)
    assert (status, note["text"]) == (201, "Late")
    [(note_id,)] = bare_service.query("SELECT note_id::text FROM batch_notes")
    assert place == f"/{note_id}"
    assert send_note(program) == (status, note, place)
    program.command("check")


def test_the_tutorial_works_to_the_letter(build, bare_service, tmp_path):
    copy_tree(tmp_path, pathlib.Path(build).resolve())
    (before, _, written, other, handled, tried, _, route, whole, answered, listed, _, note, _, new, told,
     row) = outputs = follow(tmp_path)
    assert [status for status, _ in outputs] == [0, 0, 0, 1] + [0] * 13, outputs
    for passed in (before, written, handled, route, whole, listed, note, new, told):
        assert re.search(r"^\d+ passed, 0 failed$", passed[1], re.M), passed[1]
    assert "missing_field: data.entity_id is missing" in other[1], other[1]
    assert tried[1].endswith("\n1 applied, 0 ignored, 0 rejected, 0 unread\n"), tried[1]
    assert "reason = \"END_OF_TERM\"" in tried[1] and 'INSERT INTO "batch_archives"' in tried[1]
    assert answered[1].startswith("HTTP/1.1 200 OK\n") and '  tags    "b-1"' in answered[1]
    assert 'huleedu.ras.batch.archived.v1  key = "b-1"' in row[1] and '"batch_id":"b-1"' in row[1]
    for script in ("handlers/batch_archived", "routes/batch_archive"):
        assert re.search(rf"^scripts/{script}\.lua .* 100\.0", whole[1], re.M), whole[1]
    check_service(bare_service, tmp_path)
