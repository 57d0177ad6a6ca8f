"""What a retention leaves behind when its process is killed, and when the view no longer has it."""
import shutil

import pytest
import stack
from stack import wait_until
from test_retention import DAYS, NEW, OLD, SPAN_DAYS, batch, rows_of
from views import status_path

FIRST_TRANSACTION = 16  # roots
pytestmark = pytest.mark.xdist_group("retention")


def state(service):
    return service.query("SELECT removed, swept_at IS NULL FROM aggregator_state.retention")[0]


def kill_at(service, fault, **env):
    victim = service.prepare(AGGREGATOR_FAULT=f"{fault}:KILL", **env)
    victim.start(wait=False)
    wait_until(f"its end at {fault}", lambda: not victim.running())
    wait_until("the end of its session", lambda: not service.query(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = "
        "'aggregator retention'"))


def test_a_kill_while_rows_leave_leaves_whole_batches_and_the_next_process_goes_on(
        make_service, cleanup, faulty_build, tmp_path):
    service = make_service(cleanup)
    service.build = faulty_build
    first = service.start()
    old = [f"old-{number:02}" for number in range(FIRST_TRANSACTION + 4)]
    service.publish([record for batch_id in old for record in batch(batch_id, OLD)] + batch("new", NEW))
    service.wait_committed(3 * len(old) + 3)
    first.stop()
    scripts = {"SCRIPTS_ROOT": str(stack.with_retention(tmp_path / "scripts", DAYS, SPAN_DAYS))}

    def numbers():
        return sorted(len(rows_of(service, batch_id)) for batch_id in old)

    reader = service.start(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")  # whose view has no retention: it deletes nothing

    def statuses():
        return {reader.get(status_path(batch_id))[0] for batch_id in old}

    def are_cached():
        hits = reader.metric("ras_cache_hits_total")
        assert statuses() == {200, 404}
        return reader.metric("ras_cache_hits_total") >= hits + 4

    kill_at(service, "before_sweep_commit:2", **scripts)
    assert state(service) == (FIRST_TRANSACTION, True)
    assert numbers() == [0] * FIRST_TRANSACTION + [3] * 4
    wait_until("cached responses", are_cached)
    kill_at(service, "after_sweep_commit:1", **scripts)
    assert state(service) == (len(old), True) and numbers() == [0] * len(old)
    wait_until("the end of the responses", lambda: statuses() == {404})
    assert reader.metric('ras_cache_drops_total{reason="unannounced"}') == 1
    service.start(**scripts)
    wait_until("the end of the sweep", lambda: state(service) == (len(old), False))
    assert len(rows_of(service, "new")) == 3


def test_a_view_without_retention_has_no_metrics_of_one(bare_service, tmp_path):
    scripts = stack.with_retention(tmp_path / "scripts", DAYS, SPAN_DAYS)
    program = bare_service.start(SCRIPTS_ROOT=str(scripts), SCRIPTS_TRIAL_S="1")
    bare_service.wait_ready()

    def has_gauges():
        return b"ras_retention_next_move_timestamp_seconds{" in program.get("/metrics")[1]
    wait_until("the gauges", has_gauges)
    shutil.copy(stack.ROOT / "scripts/view.lua", scripts / "view.lua")
    program.command("reload")
    wait_until("their end", lambda: not has_gauges())
