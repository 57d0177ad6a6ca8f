"""The command line, the order of a run, and the closing report."""
import argparse
import contextlib
import os
import pathlib
import random
import shutil
import sys
import tempfile

import stack

from . import log, verify
from .deployment import DATABASE, PARTITIONS, Deployment
from .driver import Driver
from .faults import FaultPlan
from .journal import Journal
from .producer import Producer
from .readers import Readers
from .stream import Stream

SLOTS = 3
DRAIN_LIMIT_S = 180
STOP_LIMIT_S = 30
POINT_LIMIT_S = 40  # without any fault point being reached
PROBLEMS_SHOWN = 20
NEWEST = 1000  # batches: more than are read within a cache's time to live
KINDS = {"kill": "SIGKILL", "fault kill": "SIGKILL at fault points", "freeze": "SIGSTOP",
         "fault freeze": "SIGSTOP at fault points", "term": "SIGTERM", "cut": "connections cut",
         "delay": "connections delayed", "scale": "processes added, removed"}


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="tools/crashtest", description="Kills, freezes and cuts everything while events flow, "
        "and compares the end with an undisturbed run.")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, help="how long to go on")
    length.add_argument("--rounds", type=int, default=10,
                        help="how many acts (default: %(default)s)")
    parser.add_argument("--seed", default=str(random.randrange(10**6)),
                        help="repeats the decisions of another run")
    parser.add_argument("--kafka", choices=("apache", "embedded"), default="apache")
    parser.add_argument("--build", default="build-faults",
                        help="folder of a program built with -DFAULTS=ON (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=80, help="events a second")
    parser.add_argument("--keep", action="store_true", help="keep logs and dumps in any case")
    return parser.parse_args(arguments)


def disturb(options, driver, journal):
    """As long, or as many acts, as asked for; then until every fault point was reached. How many
    acts."""
    pause = (1, 3) if options.minutes is None else (1.2, 3.8)
    done = 0
    while done < options.rounds if options.minutes is None else \
            journal.elapsed() < options.minutes * 60:
        done += 1
        driver.act()
        driver.run_for(driver.random.uniform(*pause))
    while not driver.plan.complete() and driver.quiet_s() < POINT_LIMIT_S:
        driver.arm_idle()
        driver.run_for(0.2)
    return done


def compare_answers(deployment, clean, where):
    """All of one program, of the others the newest, which a cache may still hold; (how many were
    compared, problems)."""
    wanted = verify.read_answers(clean, where)
    problems = verify.check_answers(deployment.slots[0].program, where, wanted)
    for slot in deployment.slots[1:]:
        problems += verify.check_answers(slot.program, where[-NEWEST:], wanted[-NEWEST:])
    return len(where) + (len(deployment.slots) - 1) * len(where[-NEWEST:]), problems


def check(deployment, producer, journal):
    """(facts for the report, problems)"""
    url = deployment.postgres.url(DATABASE)
    reader = log.open_reader(deployment.kafka.brokers)
    ends = log.end_offsets(reader, deployment.topics, PARTITIONS)
    drained_s = verify.wait_drained(url, ends, DRAIN_LIMIT_S)
    journal.say(f"drained in {drained_s:.1f} s; reading the log")
    records = log.read_all(reader, log.end_offsets(reader, deployment.kafka.names, PARTITIONS))
    reader.close()
    journal.say("an undisturbed program reads the same log")
    clean, clean_url = deployment.start_clean()
    verify.wait_drained(clean_url, ends, DRAIN_LIMIT_S)
    for database in (url, clean_url):
        verify.analyze(database)
    for slot in deployment.slots:
        slot.program.wait_ready(lambda slot=slot: slot.program.get("/healthz")[0] == 200)
    journal.say("comparing")
    held = verify.offsets(url)
    problems = verify.check_published(records, producer.acknowledged)
    problems += verify.check_view(verify.dump(url, deployment.folder / "dump"),
                                  verify.dump(clean_url, deployment.folder / "dump-clean"))
    problems += verify.check_history(url) + verify.check_accounting(held, ends)
    problems += verify.check_rejected(url, records, producer.malformed, deployment.topics)
    compared, found = compare_answers(deployment, clean,
                                      verify.paths(clean_url, producer.stream.batch_ids))
    problems += found
    totals = {outcome: sum(counts[outcome] for _, counts in held.values())
              for outcome in verify.OUTCOMES}
    facts = [f"events produced         {sum(producer.acknowledged.values()):6}   "
             f"in the log {len(records)}, of topics that are read {sum(ends.values())}",
             f"accounted for           {sum(totals.values()):6}   "
             + ", ".join(f"{outcome} {count}" for outcome, count in totals.items()),
             f"answers compared        {compared:6}",
             f"drained after faults in {drained_s:6.1f} s"]
    return facts, problems


def check_zombies(folder):
    """A process that woke up after others had taken over must have found its offsets moved."""
    count = sum('"offsets moved elsewhere' in line or
                "dropped at a rebalance" in line and '"kind":"conflict"' in line
                for path in folder.glob("program*/*.log") for line in open(path, errors="replace"))
    fact = f"offsets found moved     {count:6}   times a process stepped back instead of committing"
    return [fact], [] if count else ["no zombie was held off: the run proves nothing about them"]


def closing_report(options, journal, done, facts, problems):
    print(f"\n---- crashtest, seed {options.seed}, {done} acts, {journal.elapsed():.0f} s")
    journal.report(KINDS)
    for fact in facts:
        print(fact)
    for problem in problems[:PROBLEMS_SHOWN]:
        print("PROBLEM:", problem)
    if len(problems) > PROBLEMS_SHOWN:
        print(f"PROBLEM: and {len(problems) - PROBLEMS_SHOWN} more")
    print("view, answers and accounting:", "UNEQUAL" if problems else "equal")
    kills = journal.total("kill") + journal.total("fault kill")
    others = sum(journal.total(kind) for kind in ("freeze", "fault freeze", "cut", "delay"))
    print(f"{kills} kills, {others} freezes and cuts")


def run(options, folder, cleanup):
    journal = Journal()
    journal.say(f"crashtest, seed {options.seed}, logs in {folder}")
    deployment = Deployment(folder, stack.ROOT / options.build, options.kafka, cleanup)
    deployment.start(SLOTS)
    stream = Stream(options.seed)
    producer = Producer(deployment.kafka.brokers, stream, options.rate)
    readers = Readers(deployment.slots, stream.batch_ids)
    driver = Driver(options.seed, deployment, 
                    FaultPlan(options.seed, options.minutes is None), journal)
    producer.start()
    readers.start()
    driver.open_with_zombie()
    done = disturb(options, driver, journal)
    producer.stopping.set()
    driver.settle()
    producer.stop()
    journal.say("the stream has ended")
    facts, problems = check_zombies(folder)
    problems += driver.problems
    if not driver.plan.complete():
        problems.append(f"a fault point was never reached: {dict(driver.plan.reached)}")
    try:
        found = check(deployment, producer, journal)
        facts += found[0]
        problems += found[1]
    except AssertionError as error:
        problems.append(str(error))
    readers.stop()
    for slot in deployment.slots:
        slot.term()
    for slot in deployment.slots:
        status = slot.program.process.wait(STOP_LIMIT_S)
        if status != 0:
            problems.append(f"{slot} ended with {status} after SIGTERM")
    closing_report(options, journal, done, facts, problems)
    return problems


def main(arguments=None):
    options = parse(arguments)
    parent = stack.ROOT / ".test"
    parent.mkdir(exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"crashtest-{options.seed}-", dir=parent))
    problems = ["interrupted"]
    try:
        with contextlib.ExitStack() as cleanup:
            problems = run(options, folder, cleanup)
    finally:
        if problems or options.keep:
            print(f"logs and dumps are kept in {os.path.relpath(folder)}")
        else:
            shutil.rmtree(folder)
    print(f"{0 if problems else 1} passed, {1 if problems else 0} failed")
    sys.exit(1 if problems else 0)
