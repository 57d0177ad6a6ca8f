"""aggregator repl: from a pipe, and in a terminal with history and completion."""
import contextlib
import os
import pty
import re
import select
import shutil
import signal
import time

import pytest
from harness import edited_config
from stack import ROOT, wait_until


@pytest.fixture
def console(fed):
    """console(text, **options of Service.prepare): what a piped console did."""
    def run(text, config=None, **env):
        program = fed.prepare(config, **env)
        return program.command("repl", check=False, input=text, timeout=60)

    return run


@pytest.fixture
def queries(tmp_path):
    """A copy of sql/ with queries that would change something."""
    folder = tmp_path / "sql"
    shutil.copytree(ROOT / "sql", folder)
    for name, text in {
            "write": "INSERT INTO essay_results (essay_id) VALUES ('console') RETURNING essay_id",
            "unlock": "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
            "unlock_default": "SET default_transaction_read_only = off",
            "unlock_this": "SET TRANSACTION READ WRITE",
            "unlock_by_call": "SELECT set_config('transaction_read_only', 'off', false)",
            "unlock_default_by_call": "SELECT set_config('default_transaction_read_only', 'off', "
                                      "false)",
            "mode": "SELECT current_setting('transaction_read_only') AS mode, :x::text AS x",
            "sleep": "SELECT pg_sleep(60)"}.items():
        (folder / f"queries/{name}.sql").write_text(text)
    return folder


def lines(console, text, **options):
    done = console(text, **options)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.splitlines()


# ---- piped ---------------------------------------------------------------------------------------

def test_expressions_are_printed(console):
    assert lines(console, "return 1+1\n1+1\n= 2 * 3\n'a', nil, true\nx = 7\nx\n\nlocal y = 1\n"
                 "'last'") == ["2", "2", "6", "a", "nil", "true", "7", "last"]


def test_a_state_that_compiles_runs_the_same_lines(console):
    text = ("x = {}\nfor i = 1, 9 do x[i] = i end\n#x\nf = function(a) return a * 2 end\nf(x[9])\n"
            "x[0 / 0] = 1\nwhile false do end\n1 + 1\n")
    done, plain = (console(text, AGGREGATOR_SCRIPTS_COMPILE=compiled) for compiled in ("true", "false"))
    assert (done.stdout, done.stderr) == (plain.stdout, plain.stderr)
    assert [line for line in done.stdout.splitlines() if line.isdigit()] == ["9", "18", "2"]


def test_tables_are_printed_readably_nested_and_bounded(console):
    assert lines(console, "{ 1, 2, { a = 'it is \"q\"', [true] = json.null, ['b c'] = {} } }") == [
        "{ 1, 2, { a = 'it is \"q\"', [\"b c\"] = {}, [true] = json.null } }"]
    long = lines(console, "t = {} for i = 1, 12 do t['key_' .. i] = ('x'):rep(20) end return t")
    assert long[:3] == ["{", '  key_1 = "xxxxxxxxxxxxxxxxxxxx",', '  key_10 = "xxxxxxxxxxxxxxxxxxxx",']
    assert len(long) == 14
    many = lines(console, "t = {} for i = 1, 1000 do t[i] = i end return t")
    assert "  … 900 more" in many and len(many) == 103
    loop = lines(console, "t = {} t.t = t return t")
    assert "{…}" in loop[0]
    deep = "".join(lines(console, "t = {} for i = 1, 500 do t[i] = ('y'):rep(1000) end "
                                  "u = {} for i = 1, 100 do u[i] = t end return u"))
    assert len(deep) < 1000000
    assert lines(console, "pg")[1:5] == ["  bytes = function (built in),",
                                         "  each = function (built in),",
                                         "  query = function (built in),",
                                         "  transaction = function (built in)"]


def test_a_chunk_goes_on_until_it_is_complete(console):
    assert lines(console, "function f(a)\n  return a * 2\nend\nf(\n21\n)\ns = [[a\nb]]\ns\n") == \
        ["42", "a", "b"]
    cut = console("x = 1\nf = function()\n\n")
    assert (cut.returncode, cut.stderr) == (1, "console:2: the statement that begins here is incomplete\n")


def test_errors_have_a_traceback_and_do_not_end_the_console(console):
    done = console("function f()\n  local x = nil + 1\n  return x\nend\nlocal y = f() + 1\n"
                   "x = = 1\nfoo\njsn.null\nevent = require('lib.contract')\n'still here'\n")
    assert (done.returncode, done.stdout) == (1, "still here\n")
    for words in ("console:2: attempt to perform arithmetic on a nil value", "stack traceback:",
                  "console:5: in main chunk", "console:6: unexpected symbol near '='",
                  'nothing is called "foo"', 'nothing is called "jsn": did you mean "json"?',
                  'did you mean "lib.contracts"?'):
        assert words in done.stderr, done.stderr


def test_the_sandbox_is_that_of_production(console):
    done = console("io\nos.exit(1)\nstring.rep = 1\nrequire('lib.statuses').COURSE.ENG5\n"
                   "metrics.counter('spec_total', 'x'):add(1)\n")
    assert done.stdout == "ENG5\n"
    for words in ('nothing is called "io"', 'nothing is called "os"', "string is read-only"):
        assert words in done.stderr, done.stderr


def test_each_line_has_the_time_of_a_request_and_the_next_one_runs(console, tmp_path, queries):
    config = edited_config(tmp_path / "short.lua",
                           ("route_timeout_ms = 2000,", "route_timeout_ms = 300,"))
    done = console("x = 'kept'\nwhile true do pcall(error) end\npg.query('sleep')\nx\n", config,
                   SQL_ROOT=str(queries))
    assert done.stderr.startswith("console:2: the script took too long"), done.stderr
    assert done.stdout.splitlines()[-1] == "kept"
    assert 'kind = "timeout"' in done.stdout


def test_exceeding_the_memory_cap_discards_the_state_and_says_so(console, tmp_path):
    patient = edited_config(tmp_path / "patient.lua",
                            ("route_timeout_ms = 2000", "route_timeout_ms = 50000"))
    done = console("x = 1\nt = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e6) .. i end\nx\n1 + 1\n",
                   patient)
    assert done.stdout == "2\n"
    assert "assigned values are lost" in done.stderr and 'nothing is called "x"' in done.stderr


def test_the_database_is_read(fed):
    batch = fed.query("SELECT batch_id FROM batch_results WHERE registration_at IS NOT NULL "
                      "LIMIT 1")[0][0]
    done = fed.prepare().command(
        "repl", input=f"rows = pg.query('batch_status', {{ batch_id = '{batch}' }})\n#rows\n"
                      "json.decode(rows[1].body).batch_id\nrows[1].bdy\n", check=False)
    assert done.stdout == f"1\n{batch}\n"
    assert 'the row has no column "bdy": did you mean "body"?' in done.stderr


UNLOCKS = ("unlock", "unlock_default", "unlock_this", "unlock_by_call", "unlock_default_by_call")


def test_the_database_cannot_be_changed(bare_service, queries):
    """Neither alone nor in a transaction, after any setting by an earlier query."""
    text = "pg.query('mode', { x = json.null })[1].mode\npg.query('write')\n"
    for name in UNLOCKS:
        text += (f"pg.query('{name}')\npg.query('write')\n"
                 f"pg.transaction(function(tx) tx.query('{name}') return tx.query('write') end)\n"
                 "pg.query('write')\n"
                 "pg.transaction(function(tx) return tx.query('write') end)\n")
    done = bare_service.prepare(SQL_ROOT=str(queries)).command("repl", input=text)
    assert done.stdout.startswith("on\n"), done.stdout
    assert done.stdout.count("cannot execute INSERT in a read-only transaction") >= \
        1 + 3 * len(UNLOCKS), done.stdout
    assert "console" not in [row[0] for row in bare_service.query("SELECT essay_id FROM "
                                                                  "essay_results")]


def test_scripts_that_do_not_load_are_reported(console, tmp_path):
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    (tmp_path / "scripts/view.lua").write_text("return {")
    done = console("1", SCRIPTS_ROOT=str(tmp_path / "scripts"))
    assert done.returncode == 1 and "scripts/view.lua:1" in done.stderr


# ---- in a terminal -------------------------------------------------------------------------------

class Terminal:
    """A console on a pseudo-terminal; `home` is where its state is."""

    def __init__(self, program, home, **env):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            environment = program.env | {"HOME": str(home), "TERM": "xterm", "LC_ALL": "C.UTF-8",
                                         **env}
            environment.pop("XDG_STATE_HOME", None) if "XDG_STATE_HOME" not in env else None
            os.execve(program.build / "aggregator",
                      ["aggregator", "repl", *map(str, program.options)], environment)

    def expect(self, pattern, seconds=120):
        """Waits for the pattern in what came since the last match; the match."""
        end = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.text)
            if found:
                self.text = self.text[found.end():]
                return found
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise AssertionError(f"no {pattern!r} in {self.text!r}")
            try:
                self.text += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "",
                                    os.read(self.fd, 65536).decode(errors="replace"))
            except OSError as error:
                raise AssertionError(f"it ended; no {pattern!r} in {self.text!r}") from error

    def send(self, text):
        os.write(self.fd, text.encode())

    def finish(self):
        """Ctrl-D, again where libedit showed its prompt and did not read yet; the exit status."""
        def end():
            with contextlib.suppress(OSError):
                self.send("\x04")
                while select.select([self.fd], [], [], 0.05)[0]:  # it waits until all is read
                    os.read(self.fd, 65536)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return [status] if pid else None

        status = wait_until("the console's end", end, 20)[0]
        self.pid = None
        return os.waitstatus_to_exitcode(status)

    def kill(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def terminal(fed, cleanup, tmp_path):
    """terminal(config, **env): opens a console in a terminal and waits for its prompt."""
    def start(config=None, **env):
        opened = Terminal(fed.prepare(config, **env), tmp_path, **env)
        cleanup.callback(opened.kill)
        opened.expect("read-only here")
        opened.expect("> ")
        return opened

    return start


def test_a_terminal_prints_continues_and_ends_with_ctrl_d(terminal):
    opened = terminal()
    opened.send("20 + 22\r")
    opened.expect("\n42\r")
    opened.send("function double(a)\r")
    opened.expect(">> ")
    opened.send("return a * 2 end\r")
    opened.expect("> ")
    opened.send("double(4)\r")
    opened.expect("\n8\r")
    opened.send("error('å')\r")
    opened.expect("å\r\nstack traceback")
    assert opened.finish() == 0


@pytest.mark.parametrize("env, path", [
    ({}, ".local/state/aggregator/history"), ({"XDG_STATE_HOME": "state"}, "state/aggregator/history")])
def test_history_is_kept_for_the_next_console(terminal, tmp_path, env, path):
    env = {name: str(tmp_path / folder) for name, folder in env.items()}
    first = terminal(**env)
    first.send("'the ' .. 'first'\r")
    first.expect("the first\r")
    first.finish()
    history = tmp_path / path
    assert "'the\\040'" in history.read_text() or "'the '" in history.read_text()
    assert history.stat().st_mode & 0o777 == 0o600
    assert history.parent.stat().st_mode & 0o777 == 0o700
    second = terminal(**env)
    second.send("\x1b[A\r")  # arrow up
    second.expect("the first\r")
    assert second.finish() == 0


@pytest.mark.parametrize("typed, completed", [
    ("json.dec\t('[7]')[1] + 1\r", "\n8\r"), ("tostr\t(17)\r", "\n17\r"),
    ("#pg.query('user_b\t', {})\r", "is not given"),
    ("require('lib.cont\t').id('p').min\r", "\n1\r"), ("require 'lib.fail\t'\r", "response = function"),
    ("string.form\t('%d', 5)\r", "\n5\r"), ("mine = { colour = 'red' }\rmine.col\t\r", "\nred\r"),
    ("retu\t 9\r", "\n9\r")])
def test_tab_completes(terminal, typed, completed):
    opened = terminal()
    opened.send(typed)
    opened.expect(completed)


def test_tab_lists_the_candidates(terminal):
    opened = terminal()
    opened.send("log.\t\t")
    opened.expect(r"debug  error  info  warning")
    opened.send("w\t\x15pg.query(\"\t\t")
    opened.expect("batch_status  .*user_batches")


def test_ctrl_c_ends_a_running_line_and_an_edited_one(terminal, tmp_path):
    opened = terminal(edited_config(tmp_path / "long.lua",
                                    ("route_timeout_ms = 2000,", "route_timeout_ms = 60000,")))
    opened.send("x = 5\r")
    opened.expect("> ")
    opened.send("print('begun') while true do pcall(error) end\r")
    opened.expect("begun\r")
    opened.send("\x03")
    opened.expect("interrupted")
    opened.expect("> ")
    opened.send("function half(\r")
    opened.expect(">> ")
    opened.send("\x03")
    opened.expect("\n> ")
    opened.send("forgotten\x03")
    opened.expect("\n> ")
    opened.send("for i = 1, 1e5 do x = x + 1 end print(x)\r")
    opened.expect("\n100005\r")
    assert opened.finish() == 0
