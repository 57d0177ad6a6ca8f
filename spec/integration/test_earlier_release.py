"""A process of an earlier release beside one of this release, on the tables of this one. Here it is this
program with a role of its own, whose calls of advance_offset are led to the earlier signature."""
import pytest
from harness import check_counted, log_lines, slot_event
from stack import wait_until
from test_cache import UNANNOUNCED, killed_between_commit_and_announcement
from test_group import wait_shared
from test_outages import registration

BATCH = "batch-of-both"
ESSAYS = [f"essay-{number}" for number in range(60)]
ARGUMENTS = [
    ("wanted_group", "text"), ("wanted_topic", "text"), ("wanted_partition", "integer"), ("expected", "bigint"),
    ("next", "bigint"), ("at", "timestamptz"), ("wanted_scripts", "text"), ("add_applied", "integer"),
    ("add_superseded", "integer"), ("add_ignored", "integer"), ("add_duplicate", "integer"),
    ("add_rejected", "integer"), ("add_expired", "integer"), ("wanted_commit", "uuid"), ("touched", "bytea")]
# How many of them a release gives: the last one before what a transaction touches, and before expired events.
EARLIER = pytest.mark.parametrize("given", [13, 12], ids=["no-tags", "no-expired"])
COUNTED = "applied + superseded + ignored + duplicate + rejected + expired"


def earlier_release(service, given):
    """The environment of a process of a release that gives so many arguments. Its call comes back without
    a number of its commit."""
    role = "earlier_" + service.database_url.rsplit("/ras_", 1)[1]
    names = [name for name, _ in ARGUMENTS]
    types = ", ".join(kind for _, kind in ARGUMENTS)
    service.query(f"""
        CREATE ROLE {role} LOGIN IN ROLE ras;
        ALTER FUNCTION aggregator_state.advance_offset({types}) RENAME TO advance_offset_of_now;
        CREATE FUNCTION aggregator_state.advance_offset({", ".join(map(" ".join, ARGUMENTS))})
        RETURNS void LANGUAGE plpgsql AS $$ BEGIN
          IF session_user = '{role}' AND wanted_commit IS NOT NULL THEN
            PERFORM aggregator_state.advance_offset({", ".join(names[:given])});
          ELSE
            PERFORM aggregator_state.advance_offset_of_now({", ".join(names)});
          END IF;
        END $$""")
    return {"RESULT_AGGREGATOR_SERVICE_DATABASE_URL": service.database_url.replace("//ras@", f"//{role}@")}


def rename_all(service, name, second):
    service.publish([slot_event(BATCH, essay, f"{name}.txt", second) for essay in ESSAYS])


def file_names(program):
    answer = program.status_of(BATCH)
    return answer and {essay["filename"] for essay in answer["essays"]}


def wait_names(programs, name):
    for program in programs:
        wait_until(f"{name} from {program.folder.name}", lambda p=program: file_names(p) == {f"{name}.txt"})


def commits_known(service):
    """Whether a partition's last transaction has a number, of each partition with slot events."""
    return [known for known, in service.query(
        "SELECT commit_id IS NOT NULL FROM aggregator_state.consumer_offsets WHERE topic LIKE '%%slot%%' "
        "AND next_offset > 0")]


def check_counts(service, events):
    assert service.query(f"SELECT sum({COUNTED}), sum(next_offset), sum(rejected), sum(skipped) FROM "
                         "aggregator_state.consumer_offsets WHERE next_offset >= 0") == [(events, events, 0, 0)]


@EARLIER
def test_both_releases_work_on_one_database(make_service, cleanup, apache, given):
    service = make_service(cleanup, apache)
    earlier = service.start(**earlier_release(service, given))
    present = service.start()
    wait_shared(earlier, present)
    service.publish([registration(BATCH)])
    rename_all(service, "first", 1)
    wait_names((earlier, present), "first")
    rename_all(service, "second", 2)
    wait_names((earlier, present), "second")
    service.wait_committed(1 + 2 * len(ESSAYS))
    check_counts(service, 1 + 2 * len(ESSAYS))
    assert set(commits_known(service)) == {False, True}
    assert {program.metric("ras_cache_drops_total") for program in (earlier, present)} == {0}
    assert present.command("verify").stdout.endswith("the view matches the log\n")


@EARLIER
def test_each_release_goes_on_where_the_other_one_has_stopped(make_service, cleanup, apache, given):
    service = make_service(cleanup, apache)
    as_earlier = earlier_release(service, given)
    service.publish([registration(BATCH)])
    for number, env in enumerate((as_earlier, {}, as_earlier), start=1):
        program = service.start(**env)
        rename_all(service, f"name-{number}", number)
        wait_names([program], f"name-{number}")
        assert program.stop() == 0
        check_counts(service, 1 + number * len(ESSAYS))
        assert set(commits_known(service)) == {not env}


@EARLIER
def test_a_kill_of_the_earlier_release_drops_all_responses(bare_service, faulty_build, given):
    """What its commit touched is not known."""
    reader, dropped_all = killed_between_commit_and_announcement(
        bare_service, faulty_build, **earlier_release(bare_service, given))
    assert dropped_all
    check_counted(reader, 'ras_cache_drops_total{reason="unannounced"}', 1)
    assert len(log_lines(reader, UNANNOUNCED)) == 1
