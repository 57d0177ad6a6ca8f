"""Upgrades that fail, or meet another command: the running program goes on, or the new one has taken over."""
import os
import shutil
import signal
import threading

import pytest
from harness import edited_config, slot_event
from installed import is_alive
from scripts_copy import HeldSpecs, command
from stack import FULL_CONFIG, ROOT, wait_until, with_retention


# ---- the new process does not get ready --------------------------------------------------------------

def test_a_damaged_program_changes_nothing(installed):
    installed.install(b"not a program")
    refused = f"the new process cannot start: {installed.path}: Exec format error"
    assert installed.upgrade() == (1, {"done": False, "error": refused})
    installed.install(b"#!/bin/sh\nexit 3\n")
    assert installed.upgrade() == (1, {"done": False, "error": "the new process ended before it took "
                                       "over: its log says why"})
    assert [(line["level"], line["error"]) for line in installed.logged(
        "the upgrade failed: this process goes on")] == [
            ("error", refused),
            ("error", "the new process ended before it took over: its log says why")]
    installed.check_it_goes_on()
    installed.install((installed.service.build / "aggregator").read_bytes())
    assert installed.upgrade()[0] == 0, "the next one is not disturbed"


def test_a_wrong_configuration_or_script_changes_nothing(bare_service, install, scripts):
    config = edited_config(bare_service.folder / "edited.lua")
    installed = install(config, SCRIPTS_ROOT=str(scripts))
    good = config.read_text()
    config.write_text(good.replace("loops = 2", 'loops = "two"'))
    status, said = installed.upgrade()
    assert status == 1 and "http.loops" in said["error"], said
    config.write_text(good)
    route = scripts / "routes/batch_status.lua"
    text = route.read_text()
    route.write_text("this is no Lua\n" + text)
    status, said = installed.upgrade()
    assert status == 1 and "routes/batch_status.lua:1" in said["error"], said
    route.write_text(text)
    installed.check_it_goes_on()


def test_a_database_without_its_migrations_changes_nothing(install, tmp_path):
    sql = tmp_path / "sql"
    shutil.copytree(ROOT / "sql", sql)
    installed = install(SQL_ROOT=str(sql))
    (sql / "migrations/9001_later.sql").write_text("SELECT 1;\n")
    assert installed.upgrade() == (1, {
        "done": False, "error": "the new process cannot start: the database lacks 1 migration of this "
        "program: run `aggregator migrate` first"})
    installed.check_it_goes_on()


def test_a_new_process_that_is_not_ready_in_time_is_ended(bare_service, install):
    installed = install(edited_config(bare_service.folder / "edited.lua", (
        "upgrade_timeout_ms = 60000", "upgrade_timeout_ms = 1000")))
    installed.install_waiting()
    status, said = installed.upgrade()
    assert status == 1 and "did not get ready in time" in said["error"]
    pid = installed.started()
    wait_until("its end", lambda: not is_alive(pid))
    installed.check_it_goes_on()


def test_a_new_process_that_is_killed_changes_nothing(installed):
    installed.install_waiting()
    process = installed.begin()
    os.kill(installed.started(), signal.SIGKILL)
    assert installed.result(process)[0] == 1
    installed.check_it_goes_on()


STATIC = '["group.instance.id"] = "one"'


@pytest.mark.parametrize("options, end", [("", signal.SIGKILL), (STATIC, signal.SIGKILL), ("", signal.SIGTERM)],
                         ids=["dynamic", "static", "stopped"])
def test_a_new_process_that_ends_while_it_takes_over_leaves_all_to_the_old_one(
        bare_service, install, options, end):
    config = edited_config(bare_service.folder / "edited.lua", (
        "options = {},", f"options = {{ {options} }},"))
    installed = install(config)
    process = installed.begin()
    wait_until("the takeover", lambda: installed.logged("this process takes clients and partitions"))
    bare_service.kafka.send(signal.SIGSTOP)  # the new process waits for its partitions
    os.kill(installed.started(), end)
    if end == signal.SIGTERM:
        # It leaves the group. Kafka must not stand still for longer than a session: librdkafka's mock cluster then
        # removes members that wait in JoinGroup, which get no reply (Kafka keeps them).
        bare_service.kafka.send(signal.SIGCONT)
    assert installed.result(process)[0] == 1
    assert installed.program.running() and installed.program.get("/healthz")[0] == 200
    bare_service.kafka.send(signal.SIGCONT)
    bare_service.publish([slot_event("a-batch", "an-essay", "a file")])
    bare_service.wait_committed(1)
    installed.check_serves()


def test_an_old_process_that_is_killed_leaves_all_to_the_new_one(installed):
    installed.install_waiting()
    installed.begin()
    pid = installed.started()
    installed.program.kill()
    installed.go()
    wait_until("the port", lambda: installed.program.get("/healthz")[0] == 200)
    installed.check_serves()
    assert installed.logged("the process that started this one has ended: this one takes over")
    assert is_alive(pid)


def test_a_stop_of_the_old_process_ends_both(installed):
    installed.install_waiting()
    process = installed.begin()
    pid = installed.started()
    assert installed.program.stop() == 0
    assert installed.result(process) == (1, {"done": False, "error": "the program is stopping"})
    wait_until("the end of the new one", lambda: not is_alive(pid))


# ---- at once with other commands ---------------------------------------------------------------------

GREETING = """return {
  follows = { essay_results = "essay_id" },
  query = "reaction_greeting",
  publish = function(row)
    return { topic = "essays.greeted.v1", key = row.key, value = {}, identity = row.key, at = row.now_us }
  end,
}
"""
GREETED = """SELECT essay_id AS key, (extract(epoch FROM now()) * 1000000)::bigint AS now_us
FROM essay_results WHERE essay_id = ANY(:keys::text[])
"""


def declare_what_acts(scripts, sql, folder):
    """A retention and a reaction: what they do remains, also if their scripts are taken back."""
    shutil.copy(with_retention(folder / "declared", 400, 30) / "view.lua", scripts / "view.lua")
    (scripts / "reactions").mkdir(exist_ok=True)
    (scripts / "reactions/greeting.lua").write_text(GREETING)
    (sql / "queries/reaction_greeting.sql").write_text(GREETED)


def test_brokers_that_do_not_answer_change_nothing(bare_service, install, tmp_path):
    """Nor do its scripts."""
    config, key = bare_service.folder / "edited.lua", 'brokers = env("KAFKA_BOOTSTRAP_SERVERS", '
    line = next(line for line in FULL_CONFIG.read_text().splitlines() if key in line)
    scripts, sql = (shutil.copytree(ROOT / name, tmp_path / name) for name in ("scripts", "sql"))
    installed = install(edited_config(config), SCRIPTS_ROOT=str(scripts), SQL_ROOT=str(sql))
    bare_service.publish([slot_event("a-batch", "an-essay", "a file")])
    bare_service.wait_committed(1)
    bare_service.query("INSERT INTO aggregator_state.reaction_marks (reaction, key) "
                       "VALUES ('reactions/greeting', 'an-essay')")
    declare_what_acts(scripts, sql, tmp_path)
    edited_config(config, (line, '    brokers = "127.0.0.1:1",'))
    status, said = installed.upgrade()
    assert status == 1 and said["error"].startswith(
        "the new process cannot start: no broker of kafka.brokers (127.0.0.1:1) answers within 5 s")
    installed.check_it_goes_on()
    horizon, greeting = "SELECT root FROM aggregator_state.retention", \
        "SELECT identity FROM aggregator_state.outbox WHERE source = 'reactions/greeting'"
    assert bare_service.query(horizon) == [] and bare_service.query(greeting) == []
    bare_service.kafka.kill()
    wait_until("the outage", lambda: installed.program.get("/readyz")[0] == 503)
    assert installed.upgrade()[0] == 0  # neither reaches Kafka
    wait_until("the horizon", lambda: bare_service.query(horizon))
    wait_until("the message", lambda: bare_service.query(greeting) == [("an-essay",)])


def test_another_admin_socket_takes_a_restart_and_a_warning(bare_service, install):
    config, key = bare_service.folder / "edited.lua", 'socket = env("ADMIN_SOCKET", "aggregator.sock")'
    installed = install(edited_config(config))
    here = installed.program.env["ADMIN_SOCKET"]
    edited_config(config, (key, 'socket = "/tmp/elsewhere.sock"'))
    assert installed.upgrade()[0] == 0
    (line,) = installed.logged("the inherited admin socket has another path than the configuration: "
                               "commands reach this process with --socket PATH")
    assert (line["path"], line["configured"]) == (here, "/tmp/elsewhere.sock")
    asked = installed.program.command("health", "ready", "--socket", here, check=False)
    assert '"service":"program0"' in asked.stdout, asked


def test_one_upgrade_at_a_time_and_neither_reload_nor_rollback_meanwhile(installed):
    installed.install_waiting()
    process = installed.begin()
    installed.started()
    assert installed.upgrade() == (1, {"done": False, "error": "another upgrade is under way"})
    assert installed.program.ask("reload") == {
        "error": "an upgrade is under way: reload when it has ended"}
    assert installed.program.ask("rollback") == {
        "error": "an upgrade is under way: roll back when it has ended"}
    installed.go()
    assert installed.result(process)[0] == 0
    installed.check_serves()


def test_an_upgrade_during_a_reload(install, scripts, tmp_path):
    specs = HeldSpecs(tmp_path)
    installed = install(held=specs, SCRIPTS_ROOT=str(scripts))
    route = scripts / "routes/batch_status.lua"
    route.write_text(route.read_text() + "\n-- changed\n")
    answers = []
    reloading = threading.Thread(target=lambda: answers.append(command(installed.program, "reload")))
    reloading.start()
    specs.wait_begun()
    assert installed.upgrade()[0] == 0
    reloading.join()
    (status, said), = answers
    assert (status, said["done"]) == (1, False)
    assert said["error"] == f"the specs in {specs.path}: the program is stopping"
    installed.check_serves()
