"""The process: signals during start, reload and commands, child processes, standard descriptors,
and listening addresses."""
import contextlib
import os
import pathlib
import resource
import signal
import subprocess
import urllib.request

import psycopg2
import pytest
from harness import edited_config, log_lines, read_records, waits_for_lock
from scripts_copy import HANDLER
from stack import ROOT, free_port, wait_until

SOON_S = 30  # of a busy machine; what is interrupted takes minutes
BUSY = "local sum = 0 for i = 1, {turns} do sum = (sum + i) % 7 end"
SLOW_SPECS = ("describe('slow', function() for i = 1, 2000 do it('case ' .. i, function() "
              + BUSY.format(turns="2e7") + " end) end end)\n")


@pytest.fixture
def slow_specs(tmp_path):
    """The path of specs that take minutes."""
    path = tmp_path / "slow_spec.lua"
    path.write_text(SLOW_SPECS)
    return path


def has_signal(process, mask, number):
    """Whether a signal is in that mask of the process: SigBlk (blocked) or SigCgt (caught)."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith(f"{mask}:"):
                return int(line.split()[1], 16) >> (number - 1) & 1
    return False


def children(pid):
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def lives(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def test_sigterm_works_while_scripts_load_at_start(bare_service, own_scripts):
    own_scripts.edit(f"scripts/{HANDLER}", "return {", BUSY.format(turns="1e8") + "\nreturn {")
    config = edited_config(bare_service.folder / "many.lua", ("states = 8", "states = 64"))
    program = bare_service.prepare(config, **own_scripts.env)
    program.start(wait=False)
    wait_until("the start", lambda: has_signal(program.process, "SigBlk", signal.SIGTERM))
    assert program.stop(SOON_S) == 0
    assert [line["message"] for line in log_lines(program)][-2:] == ["stopping", "stopped"]


@pytest.fixture
def reloading(bare_service, own_scripts, slow_specs):
    """A program whose reload runs slow specs, and the process of these."""
    program = bare_service.start(SCRIPTS_SPECS=str(slow_specs), **own_scripts.env)
    bare_service.wait_ready()
    own_scripts.name_files("new ")
    program.send(signal.SIGHUP)
    wait_until("the specs", lambda: children(program.process.pid))
    return program, children(program.process.pid)[0]


def test_sigterm_works_during_a_reload_and_ends_its_specs(reloading):
    program, specs = reloading
    assert program.stop(SOON_S) == 0
    assert not lives(specs)
    said = log_lines(program, "the scripts were not replaced")
    assert len(said) == 1 and "the program is stopping" in said[0]["error"]


def test_specs_do_not_outlive_a_program_that_was_killed(reloading):
    program, specs = reloading
    assert lives(specs)
    program.kill()
    wait_until("the end of the specs", lambda: not lives(specs))


def test_watched_specs_do_not_outlive_the_watcher(bare_service, slow_specs):
    program = bare_service.prepare()
    watching = subprocess.Popen([program.build / "aggregator", "test", "--watch", slow_specs],
                                cwd=ROOT, env=program.env, stdout=subprocess.DEVNULL)
    bare_service.cleanup.callback(watching.kill)
    wait_until("the specs", lambda: children(watching.pid))
    specs = children(watching.pid)[0]
    watching.kill()
    watching.wait()
    wait_until("the end of the specs", lambda: not lives(specs))


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_signals_without_a_meaning_are_named_and_change_nothing(bare_service, number):
    program = bare_service.start()
    program.send(number)
    wait_until("the line", lambda: [
        line for line in log_lines(program)
        if line["message"].startswith("signal ignored: aggregator status")])
    assert program.get("/healthz")[0] == 200
    assert program.stop() == 0


def limit_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))


def test_a_log_at_the_limit_of_its_file_stops_nothing(bare_service):
    program = bare_service.prepare()
    program.spawn([program.build / "aggregator", "run"], cwd=ROOT, env=program.env,
                  preexec_fn=limit_files)
    program.wait_ready(lambda: program.get("/healthz")[0] == 200)
    assert program.stop() == 0
    assert program.log.read_bytes() == b""  # no part of a line


def test_an_output_at_the_limit_of_its_file_is_a_failure(bare_service, tmp_path):
    with open(tmp_path / "output", "w", encoding="utf-8") as output:
        failed = subprocess.run(
            [bare_service.build / "aggregator", "help"], stdout=output, stderr=subprocess.PIPE, text=True,
            check=False, preexec_fn=limit_files)
    assert failed.returncode == 1
    assert "standard output cannot be written: File too large" in failed.stderr


def test_a_command_outlives_signals_without_a_meaning_and_ends_by_sigterm(bare_service):
    program = bare_service.prepare()
    trying = subprocess.Popen([program.build / "aggregator", "try", "-"], cwd=ROOT, env=program.env,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True)
    bare_service.cleanup.callback(trying.kill)
    wait_until("its handlers", lambda: has_signal(trying, "SigCgt", signal.SIGUSR2))
    trying.send_signal(signal.SIGUSR1)
    assert "SIGUSR1 and SIGUSR2 are ignored: aggregator status" in trying.stderr.readline()
    trying.send_signal(signal.SIGTERM)
    trying.communicate()
    assert trying.returncode == -signal.SIGTERM  # a shell says 143


def test_a_terminated_rebuild_leaves_no_shadow(bare_service):
    program = bare_service.start()
    bare_service.wait_ready()
    bare_service.feed("first-unlinked")
    bare_service.wait_committed(len(read_records("first-unlinked")))
    with contextlib.closing(psycopg2.connect(bare_service.database_url)) as lock:
        lock.cursor().execute("LOCK TABLE aggregator_state.rejected_events IN ACCESS EXCLUSIVE MODE")
        rebuild = subprocess.Popen([program.build / "aggregator", "rebuild", "--yes"], cwd=ROOT,
                                   env=program.env, stderr=subprocess.PIPE, text=True)
        bare_service.cleanup.callback(rebuild.kill)
        wait_until("the rebuild to wait", lambda: waits_for_lock(bare_service, "aggregator rebuild"))
        rebuild.send_signal(signal.SIGTERM)
        assert '"stopping"' in rebuild.stderr.readline()
        lock.rollback()
    assert "the program is stopping" in rebuild.communicate()[1]
    assert rebuild.returncode == 128 + signal.SIGTERM
    assert bare_service.query("SELECT count(*) FROM pg_namespace "
                              "WHERE starts_with(nspname, 'aggregator_rebuild')") == [(0,)]


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_closed_standard_descriptors_are_not_reused_for_sockets(make_service, cleanup, closed):
    service = make_service(cleanup, migrate=False)
    program = service.prepare()
    done = subprocess.run(["sh", "-c", f'exec "$0" migrate {closed}',
                           program.build / "aggregator"], cwd=ROOT, env=program.env, timeout=120,
                          check=False)
    assert done.returncode == (1 if ">&- 2" in closed else 0)  # what it prints is lost
    assert service.query("SELECT count(*) > 0 FROM schema_migrations") == [(True,)]


def test_ipv6_addresses_are_listened_on_as_urls_have_them(bare_service):
    if not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("this machine has no IPv6")
    program = bare_service.prepare(HOST="[::1]", ADMIN_HOST="[::1]", ADMIN_API_KEY="k" * 32,
                                   ADMIN_PORT=str(free_port()))
    program.start(wait=False)

    def answer(port, path, headers):
        with contextlib.suppress(OSError):
            request = urllib.request.Request(f"http://[::1]:{port}{path}", headers=headers)
            with urllib.request.urlopen(request) as response:
                return response.status
        return None

    wait_until("the gateway's listener", lambda: answer(program.port, "/healthz", {}) == 200)
    wait_until("the administration's", lambda: answer(
        program.env["ADMIN_PORT"], "/admin/status", {"Authorization": "Bearer " + "k" * 32}) == 200)
    assert program.stop() == 0


def nice_values(process):
    """{thread's name: nice values of its threads} (proc(5), stat)."""
    found = {}
    for folder in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
        with contextlib.suppress(OSError):  # it has just ended
            name, rest = (folder / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
            found.setdefault(name, set()).add(int(rest.split()[16]))
    return found


def test_threads_of_ingestion_have_a_lower_priority_than_those_of_requests(bare_service):
    program = bare_service.start(AGGREGATOR_INGEST_NICE="7", INGEST_WORKERS="2")
    wait_until("partitions", lambda: len(log_lines(program, "partitions assigned")) >= 2)
    nice = nice_values(program.process)
    fetching = set().union(*(nice[name] for name in nice if name.startswith("rdk:broker")))
    own = os.getpriority(os.PRIO_PROCESS, program.process.pid)
    assert nice["http loop"] == nice["http worker"] == {own}
    assert nice["ingest 0"] == nice["ingest 1"] == {own + 7} and own + 7 in fetching
