"""The command line, the steps of a run, and the report."""
import argparse
import random

import stack

from . import outbox
from .acts import ACTS
from .deployment import Deployment
from .driver import Driver
from .faults import FaultPlan
from .journal import Journal
from .judge import Findings, judge, judge_processes, times_held_off
from .launch import launch
from .neighbours import NEIGHBOUR_ACTS
from .producer import Producer
from .readers import Readers
from .retention import AgingStream, Retention, move_horizon

SLOTS = 3
NEIGHBOUR_PAUSE_S = (0.5, 1.5)
POINT_LIMIT_S = 10  # without any fault point being reached: the processes wait for one another
MOST_HELD_UP = 6
KINDS = {"kill": "SIGKILL", "fault kill": "SIGKILL at fault points", "freeze": "SIGSTOP",
         "fault freeze": "SIGSTOP at fault points", "term": "SIGTERM", "cut": "connections cut",
         "delay": "connections delayed", "reload": "scripts changed, SIGHUP", "slip": "scripts with a slip, SIGHUP",
         "scale": "processes added, removed", "hang": "hosts that hang", "move": "servers moved",
         "pooler": "poolers disturbed", "failover": "failovers", "outage": "outside service failed",
         "rotate": "passwords rotated", "retention": "horizons moved"}


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="tools/crashtest", description="Kills, freezes and cuts everything while events flow, "
        "and compares the end with an undisturbed run.")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, help="duration")
    length.add_argument("--rounds", type=int, default=10,
                        help="number of acts (default: %(default)s)")
    parser.add_argument("--seed", default=str(random.randrange(10**6)),
                        help="repeats the decisions of another run")
    parser.add_argument("--kafka", choices=("apache", "embedded"), default="apache")
    parser.add_argument("--build", default="build-faults",
                        help="folder of a program built with -DFAULTS=ON (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=80, help="events a second")
    parser.add_argument("--list", action="store_true", help="list the acts with their weights, and end")
    parser.add_argument("--only", metavar="WORDS", default="",
                        help="only acts whose name has these words")
    parser.add_argument("--keep", action="store_true", help="keep logs and dumps in any case")
    options = parser.parse_args(arguments)
    options.acts = [act for act in (*ACTS, *NEIGHBOUR_ACTS) if options.only in act.name]
    if not options.acts:
        parser.error(f"no act has {options.only!r} in its name: see --list")
    return options


def disturb(options, driver, journal):
    """Acts for the given duration or number, then until every fault point was reached. Returns the
    number of acts."""
    pause = (1, 3) if options.minutes is None else (1, 3.5)
    done = 0
    while done < options.rounds if options.minutes is None else \
            journal.elapsed() < options.minutes * 60:
        done += 1
        driver.act()
        driver.run_for(driver.random.uniform(*pause))
    held_up = 0
    while not driver.plan.complete() and held_up <= MOST_HELD_UP:
        driver.arm_idle()
        if driver.quiet_s() > POINT_LIMIT_S:
            held_up += 1
            driver.kill_one_of_all()
        driver.run_for(0.2)
    return done


def disturb_neighbours(options, driver):
    """Does each of these acts once on processes that are connected already: a new process would find
    every server."""
    acts = [act for act in NEIGHBOUR_ACTS if act in options.acts]
    driver.act_once_each(acts, NEIGHBOUR_PAUSE_S)
    driver.settle("bringing back all neighbours")


def closing_report(options, journal, done, findings):
    print(f"\n---- crashtest, seed {options.seed}, {done} acts, {journal.elapsed():.0f} s")
    journal.report(KINDS)
    problems = findings.report()
    kills = sum(journal.total(kind) for kind in ("kill", "fault kill", "move", "failover"))
    others = sum(journal.total(kind) for kind in ("freeze", "fault freeze", "cut", "delay"))
    print(f"view, answers, accounting and what is published: {'UNEQUAL' if problems else 'equal'}",
          f"{kills} kills, {others} freezes and cuts", sep="\n")


def run(options, folder, cleanup):
    journal = Journal()
    journal.say(f"crashtest, seed {options.seed}, logs in {folder}")
    deployment = Deployment(folder, stack.ROOT / options.build, options.kafka, cleanup,
                            env=outbox.ENV, neighbours=True, view=Retention.view_of(-1))
    deployment.start(SLOTS)
    stream = AgingStream(options.seed)
    producer = Producer(deployment.kafka.brokers, stream, options.rate)
    deployment.retention = Retention(options.seed, deployment, producer)
    readers = Readers(deployment.slots, stream.batch_ids)
    plan = FaultPlan(options.seed, hasty=options.minutes is None)
    driver = Driver(options.seed, deployment, plan, journal, options.acts)
    findings = Findings()
    producer.start()
    readers.start()
    driver.open_with_zombie(lambda: times_held_off(deployment) > 0)
    if any(act.do is move_horizon for act in options.acts):
        move_horizon(driver)  # at least once
    done = disturb(options, driver, journal)
    driver.settle("no more faults")
    disturb_neighbours(options, driver)
    producer.end()
    try:
        producer.wait_delivered()
        journal.say("the stream has ended")
        judge(deployment, producer, journal, findings)
    except AssertionError as error:
        findings.problems.append(str(error))
    readers.stop()
    findings.problems += readers.problems()
    judge_processes(deployment, findings)
    findings.problems += driver.problems
    if not plan.complete():
        findings.problems.append(f"a fault point was never reached: {dict(plan.reached)}")
    closing_report(options, journal, done, findings)
    return findings.problems


def main(arguments=None):
    options = parse(arguments)
    if options.list:
        for act in options.acts:
            print(f"{act.weight:3}  {act.name}")
    else:
        launch("crashtest", options, run)
