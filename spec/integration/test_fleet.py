"""Every process of the group reports its scripts: `aggregator status` of each lists all
processes."""
import json
import shutil

import pytest
from harness import log_lines, read_records
from stack import FULL_CONFIG, ROOT, wait_until

LOST = "the table of instances does not have the running scripts; the next attempt follows"


@pytest.fixture
def other_scripts(tmp_path):
    """A copy of the scripts that has another hash."""
    folder = tmp_path / "scripts"
    shutil.copytree(ROOT / "scripts", folder)
    (folder / "lib/extra.lua").write_text("return {}\n")
    return folder


def status(program):
    """The status of a ready process: another one does not query the database."""

    def ask():
        said = json.loads(program.command("status", "--json", check=False).stdout)
        return said if said["ready"] else None

    return wait_until("readiness", ask)


def hash_of(program):
    return status(program)["health"]["scripts"]["hash"]


def wait_listed(program, *programs):
    """Waits until the status lists these processes; returns its instances by hash."""
    hashes = sorted(hash_of(one) for one in programs)
    return wait_until("the instances", lambda: sorted(
        one["hash"] for one in status(program)["instances"] if not one["gone"]) == hashes)


@pytest.fixture
def two(bare_service, other_scripts):
    """Two programs of one group, the second with other scripts."""
    first = bare_service.start()
    second = bare_service.start(SCRIPTS_ROOT=str(other_scripts))
    for program in (first, second):
        bare_service.wait_ready(program)
    wait_listed(first, first, second)
    return first, second


def test_a_half_rolled_out_fleet_shows_in_every_status(two, other_scripts):
    first, second = two
    for program in two:
        said = status(program)
        assert said["scripts_agree"] is False
        mine = [one for one in said["instances"] if one["this"]]
        assert [one["hash"] for one in mine] == [said["health"]["scripts"]["hash"]]
        assert mine[0]["instance"].split(":")[1] == str(program.process.pid)
        assert mine[0]["started"] <= mine[0]["since"] <= mine[0]["last_seen"]
    (other_scripts / "lib/extra.lua").unlink()
    second.command("reload")
    wait_listed(first, first, second)
    said = status(first)
    assert said["scripts_agree"] is True
    assert sorted(one["generation"] for one in said["instances"]) == [1, 2]


def test_a_stopped_process_is_not_listed(two):
    first, second = two
    assert second.stop() == 0
    assert [one["this"] for one in status(first)["instances"]] == [True]
    assert status(first)["scripts_agree"] is True


def test_a_killed_process_is_gone_and_later_deleted(bare_service, two):
    first, second = two
    pid = str(second.process.pid)
    second.kill()
    bare_service.query("UPDATE aggregator_state.instances SET last_seen = now() - interval '61 s' "
                       "WHERE split_part(instance, ':', 2) = %s", pid)
    said = status(first)
    assert [(one["this"], one["gone"]) for one in said["instances"]] == \
        [(True, False), (False, True)]
    assert said["scripts_agree"] is True
    bare_service.query("UPDATE aggregator_state.instances SET last_seen = now() - interval '25 h' "
                       "WHERE split_part(instance, ':', 2) = %s", pid)
    wait_until("the next announcement", lambda: len(status(first)["instances"]) == 1)


def test_processes_of_other_groups_are_not_listed(bare_service, two):
    bare_service.query("INSERT INTO aggregator_state.instances SELECT 'other', instance, host, started_at, last_seen, "
                       "stopped_at, generation, 'hash', since FROM aggregator_state.instances")
    assert len(status(two[0])["instances"]) == 2


def before(program):
    return wait_until("what ran before", lambda: status(program)["before_start"])


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_says_whether_other_scripts_ran_before(bare_service, other_scripts, end):
    program = bare_service.start()
    bare_service.wait_ready()
    wait_listed(program, program)
    assert status(program)["before_start"] is None
    old = hash_of(program)
    for root, same in (("scripts", True), (other_scripts, False), (other_scripts, True)):
        getattr(program, end)()
        program.env["SCRIPTS_ROOT"] = str(ROOT / root)
        program.start()
        bare_service.wait_ready()
        said = before(program)
        assert said["hash"] == (old if root == "scripts" or not same else hash_of(program))
        assert said["same"] is same
    assert len(log_lines(program, "this start changed the scripts")) == 1


def test_the_scripts_before_the_start_are_known_from_the_partitions(bare_service):
    """Without a recent process of the group."""
    program = bare_service.start()
    bare_service.wait_ready()
    bare_service.publish(read_records("current")[:1])
    bare_service.wait_committed(1)
    program.stop()
    bare_service.query("DELETE FROM aggregator_state.instances")
    bare_service.query("UPDATE aggregator_state.consumer_offsets SET scripts = 'another' WHERE scripts IS NOT NULL")
    program.start()
    bare_service.wait_ready()
    said = before(program)
    assert (said["hash"], said["same"], said["instance"]) == ("another", False, None)


def test_a_static_member_keeps_its_name(bare_service, tmp_path):
    config = FULL_CONFIG.read_text()
    own = tmp_path / "own.lua"
    own.write_text(config.replace("options = {},",
                                  'options = { ["group.instance.id"] = "member-1" },'))
    program = bare_service.start(own)
    bare_service.wait_ready()
    for _ in range(2):
        wait_listed(program, program)
        assert [one["instance"] for one in status(program)["instances"]] == ["member-1"]
        program.kill()
        program.start()
        bare_service.wait_ready()
    assert before(program)["instance"] == "member-1"


def test_without_the_instances_table_it_warns_once_and_retries(bare_service):
    bare_service.query("ALTER TABLE aggregator_state.instances RENAME TO elsewhere")
    program = bare_service.start()
    bare_service.wait_ready()
    wait_until("the warning", lambda: log_lines(program, LOST))
    said = status(program)
    assert said["instances"] is None and said["scripts_agree"] is None
    failures = 'ras_db_operations_total{operation="presence_before",status="error"} '
    wait_until("another try", lambda: int(program.get("/metrics")[1].decode().partition(failures)[2]
                                          .partition("\n")[0] or 0) >= 2)
    bare_service.query("ALTER TABLE aggregator_state.elsewhere RENAME TO instances")
    wait_listed(program, program)
    assert len(log_lines(program, LOST)) == 1


def test_prometheus_sees_the_hash(bare_service, other_scripts):
    program = bare_service.start(SCRIPTS_ROOT=str(other_scripts))
    bare_service.wait_ready()
    old = hash_of(program)
    (other_scripts / "lib/extra.lua").write_text("return { 1 }\n")
    program.command("reload")
    metrics = program.get("/metrics")[1].decode()
    assert f'ras_scripts_info{{hash="{old}"}}' not in metrics
    assert f'ras_scripts_info{{hash="{hash_of(program)}"}} 1\n' in metrics
