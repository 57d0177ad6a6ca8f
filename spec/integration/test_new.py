"""aggregator new: written files load, pass their spec and the linter, and run; invalid arguments
are refused."""
import http.client
import json
import resource
import shutil
import signal
import subprocess
import uuid

import pytest
import stack
from stack import HEADERS, ROOT

TOPIC, PATH = "huleedu.note.taken.v1", "/notes/{note_id}/of/{user_id}"
# As many parameters as make lines too long, and none.
LONG = "/".join(f"{{a_parameter_by_name_{letter}}}" for letter in "abc")


VIEW = """return { { name = "orders", key = { { "order_id", "%s" } }, groups = {
  { name = "placed", rule = "%s", columns = { { "amount", "double" } } } } } }
"""


@pytest.fixture
def tree(tmp_path):
    for name in ("config.lua", ".luacheckrc", "scripts", "sql", "spec"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    return tmp_path


@pytest.fixture
def new(build, tree):
    def run(*arguments):
        return subprocess.run([build.resolve() / "aggregator", "new", *arguments], cwd=tree,
                              capture_output=True, text=True, check=False)

    return run


def files(tree):
    return {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def in_tree(tree, *command):
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def write_all(new):
    """Writes a handler, and routes with some, many and no parameters; returns each output."""
    return [new(*words) for words in (
        ("handler", "note_taken", "--topic", TOPIC), ("handler", "note_2"),
        ("route", "note", "--path", PATH), ("route", "notes", "--path", "/notes"),
        ("route", "long", "--path", f"/long/{LONG}"), ("route", "note_by_id"),
        ("route", "note_write", "--path", PATH, "--method", "POST"),
        ("route", "long_write", "--path", f"/long/{LONG}", "--method", "PUT"),
        ("route", "note_delete", "--path", PATH, "--method", "DELETE"),
        ("reaction", "batch_noted"),
        ("reaction", "essay_noted", "--table", "essay_results", "--topic", "notes.v2"))]


def test_scripts_of_another_folder_get_no_files_here_and_no_specs_of_here(build, tree, tmp_path_factory):
    elsewhere, before = tmp_path_factory.mktemp("elsewhere"), files(tree)
    for words in (("new", "handler", "note_taken"), ("test",)):
        done = subprocess.run([build.resolve() / "aggregator", *words, "--config", tree / "config.lua"],
                              cwd=elsewhere, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and f"the scripts are in {tree}/scripts" in done.stderr, done
        assert f"the working folder, {elsewhere}: run this in the folder of the service" in done.stderr
    assert files(tree) == before and not list(elsewhere.iterdir())


def test_a_new_service_passes_its_specs_and_check(build, tmp_path, postgres_url):
    build = build.resolve()
    done = subprocess.run([build / "aggregator", "new", "service", "book_shop"], cwd=tmp_path,
                          capture_output=True, text=True, check=False)
    folder = tmp_path / "book_shop"
    made = files(folder)
    assert done.returncode == 0, done.stderr
    assert {line[6:] for line in done.stdout.splitlines() if line.startswith("wrote ")} == {
        str(path.relative_to(tmp_path)) for path in made}
    assert not any(b"@name" in content or b"@topic" in content for content in made.values())
    assert "book.shop.item.changed.v1" in (folder / "scripts/handlers/item_changed.lua").read_text()
    status, said = in_tree(folder, build / "aggregator", "test", "--coverage-min=95")
    assert status == 0 and " 0 failed" in said, said
    assert in_tree(folder, "luacheck", "-q", "config.lua", "scripts", "spec")[0] == 0
    database = stack.create_database(postgres_url, f"shop_{uuid.uuid4().hex}")
    program = stack.OtherAggregator(tmp_path / "program", build, folder, (database, "none", "none"), {"k": "key"})
    program.command("migrate")
    assert "database: good" in program.command("check").stdout
    event = "spec/fixtures/events/item_changed.json"
    assert "1 applied, 0 ignored, 0 rejected" in program.command("try", "item_changed", event).stdout
    assert "404" in program.command("try", "--path", "/v1/items/item-1").stdout


@pytest.mark.parametrize("name, reason", [("shop", "shop exists: nothing was written"),
                                          ("9shop", "it begins with a letter"), ("Shop", "lower-case letters")])
def test_a_service_is_written_to_a_new_folder_with_a_good_name(build, tmp_path, name, reason):
    (tmp_path / "shop").mkdir()
    done = subprocess.run([build.resolve() / "aggregator", "new", "service", name], cwd=tmp_path,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1 and reason in done.stderr
    assert files(tmp_path) == {}


def forbid_files_larger_than(size):
    """As a full disk: a write fails."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [0, 600])
def test_a_service_that_cannot_be_written_leaves_nothing(build, tmp_path, size):
    """Neither if the first write fails, nor a later one."""
    done = subprocess.run([build.resolve() / "aggregator", "new", "service", "shop"], cwd=tmp_path,
                          preexec_fn=lambda: forbid_files_larger_than(size),
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "cannot be written: File too large" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_route_that_cannot_be_written_leaves_the_folders_as_they_were(build, tree):
    shutil.rmtree(tree / "spec/unit/routes")
    before = sorted(tree.rglob("*"))
    done = subprocess.run([build.resolve() / "aggregator", "new", "route", "note"], cwd=tree,
                          preexec_fn=lambda: forbid_files_larger_than(1000),
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "cannot be written: File too large" in done.stderr
    assert sorted(tree.rglob("*")) == before


def test_a_service_without_the_library_of_failures_gets_it_with_its_first_route(tree, new):
    shutil.rmtree(tree)
    shutil.copytree(ROOT / "examples/fleet", tree)
    library = tree / "scripts/lib/failures.lua"
    kept = library.read_bytes()
    library.unlink()
    for route in (tree / "scripts/routes").glob("*.lua"):
        route.unlink()
    (tree / "scripts/openapi.json").unlink()
    done = new("route", "driver")
    assert done.returncode == 0, done.stderr
    assert library.read_bytes() == kept
    assert new("route", "other").returncode == 0


def test_written_files_pass_specs_check_and_luacheck(build, tree, new, bare_service):
    before = set(files(tree))
    said = write_all(new)
    assert [done.returncode for done in said] == [0] * len(said), said
    made = {str(path.relative_to(tree)) for path in set(files(tree)) - before}
    assert len(made) == 3 * len(said)
    assert made == {line[6:] for done in said for line in done.stdout.splitlines()
                    if line.startswith("wrote ")}
    assert "aggregator test spec/unit/handlers/note_taken_spec.lua" in said[0].stdout
    specs = sorted(path for path in made if path.endswith("_spec.lua"))
    status, text = in_tree(tree, build.resolve() / "aggregator", "test", *specs)
    assert status == 0 and " 0 failed" in text, text
    status, text = in_tree(tree, "luacheck", "-q", "scripts", "spec")
    assert status == 0, text
    bare_service.prepare(SCRIPTS_ROOT=str(tree / "scripts"),
                         SQL_ROOT=str(tree / "sql")).command("check")


def test_written_files_run(tree, new, bare_service):
    write_all(new)
    bare_service.start(SCRIPTS_ROOT=str(tree / "scripts"), SQL_ROOT=str(tree / "sql"))
    bare_service.wait_ready()
    status, body, _ = bare_service.program.get("/notes/n-1/of/u-1")
    assert (status, json.loads(body)) == (200, {"note_id": "n-1", "user_id": "u-1"})
    assert bare_service.program.get("/notes")[:2] == (200, b"{}")
    assert bare_service.program.get("/note_by_id/7")[0] == 200
    event = json.loads((tree / "spec/fixtures/events/note_taken.json").read_text())
    assert set(event) == {"event_id", "event_timestamp", "correlation_id", "event_type",
                          "source_service", "data"}
    assert bare_service.program.get("/long/x/y/z")[0] == 200
    assert send(bare_service.program, "POST", "/notes/n-1/of/u-1", {"text": "åäö"}) == (
        201, {"text": "åäö", "note_id": "n-1", "user_id": "u-1"})
    assert send(bare_service.program, "PUT", "/long/x/y/z", {"text": ""})[0] == 400


def send(program, method, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=120)
    connection.request(method, path, json.dumps(body),
                       HEADERS | {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


@pytest.mark.parametrize("words, reasons", [
    (("handler", "spellcheck_result", "--topic", "another.v1"),
     ["scripts/handlers/spellcheck_result.lua exists", "nothing was written"]),
    (("route", "batch_status"), ["scripts/routes/batch_status.lua exists"]),
    (("handler", "x", "--topic", "huleedu.els.batch_phase.outcome.v1"),
     ["huleedu.els.batch_phase.outcome.v1 is read by handlers/batch_phase_outcome"]),
    (("handler", "x", "--topic", "a b"), ["--topic"]),
    (("route", "x", "--path", "/internal/v1/batches/{other}/status"),
     ["is answered by routes/batch_status"]),
    (("route", "x", "--path", "/batches/{other}/status"), ["is answered by routes/batch_status"]),
    (("route", "x", "--path", "/metrics"), ["the program itself answers /metrics"]),
    (("route", "x", "--path", "x"), ["--path"]), (("route", "x", "--path", "/{a}/{a}"), ["--path"]),
    (("route", "x", "--path", "/{end}"), ["--path"]), (("route", "x", "--path", "/a//b"), ["--path"]),
    (("route", "x", "--path", "/{A}"), ["--path"]), (("route", "x", "--path", '/"'), ["--path"]),
    (("route", "x", "--method", "HEAD"), ["--method", "GET, POST, PUT, PATCH, DELETE"]),
    (("route", "x", "--path", "/{text}", "--method", "PUT"), ["--path has {text}"]),
    (("handler", "Big"), ["NAME"]), (("handler", "../x"), ["NAME"]),
    (("handler", "x" * 49), ["NAME"]), (("reaction", "x", "--topic", "a b"), ["--topic"]),
    (("reaction", "x", "--table", "essay_result"), ["--table", 'did you mean "essay_results"?'])])
def test_invalid_arguments_are_refused_and_nothing_is_written(tree, new, words, reasons):
    before = files(tree)
    done = new(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert all(reason in done.stderr for reason in reasons), done.stderr
    assert files(tree) == before


@pytest.mark.parametrize("key, cast", [
    ("uuid", "uuid"), ("bigint", "bigint"), ("integer", "integer"), ("id", "text")])
def test_a_reaction_follows_each_type_of_key(build, tree, new, key, cast):
    shutil.rmtree(tree)
    for folder in ("scripts/handlers", "sql/queries"):
        (tree / folder).mkdir(parents=True)
    (tree / "config.lua").write_text("return {}\n")
    (tree / "scripts/view.lua").write_text(VIEW % (key, "first"))
    done = new("reaction", "order_done", "--table", "orders")
    assert done.returncode == 0, done.stderr
    assert f":keys::{cast}[]" in (tree / "sql/queries/order_done.sql").read_text()
    status, text = in_tree(tree, build.resolve() / "aggregator", "test")
    assert status == 0, text


def test_a_view_without_a_table_to_follow_is_said(tree, new):
    shutil.rmtree(tree)
    for folder in ("scripts/handlers", "sql/queries"):
        (tree / folder).mkdir(parents=True)
    (tree / "config.lua").write_text("return {}\n")
    (tree / "scripts/view.lua").write_text(VIEW % ("date", "first"))
    for words in ((), ("--table", "orders")):
        done = new("reaction", "order_done", *words)
        assert done.returncode == 1 and "no table of the view has a key of text, uuid" in done.stderr


def test_one_existing_file_is_enough_to_refuse(tree, new):
    (tree / "spec/unit/routes/note_spec.lua").write_text("-- mine\n")
    before = files(tree)
    done = new("route", "note")
    assert done.returncode == 1 and "spec/unit/routes/note_spec.lua exists" in done.stderr
    assert files(tree) == before


def test_files_that_do_not_load_are_removed(tree, new):
    """lib/failures, which routes require, does not load."""
    shutil.rmtree(tree / "scripts/routes")
    (tree / "scripts/lib/failures.lua").write_text("error('not today')\n")
    before = files(tree)
    done = new("route", "note")
    assert done.returncode == 1 and "were removed" in done.stderr and "not today" in done.stderr
    assert files(tree) == before


def test_existing_scripts_that_do_not_load_are_reported_first(tree, new):
    (tree / "scripts/view.lua").write_text("return {")
    done = new("handler", "note")
    assert done.returncode == 1 and "scripts/view.lua:" in done.stderr
