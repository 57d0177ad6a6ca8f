"""The command line, the order of a run, and the closing report."""
import argparse
import random

import stack

from .deployment import Deployment
from .driver import Driver
from .faults import FaultPlan
from .journal import Journal
from .judge import Findings, judge, judge_processes, times_held_off
from .launch import launch
from .producer import Producer
from .readers import Readers
from .stream import Stream

SLOTS = 3
POINT_LIMIT_S = 40  # without any fault point being reached
KINDS = {"kill": "SIGKILL", "fault kill": "SIGKILL at fault points", "freeze": "SIGSTOP",
         "fault freeze": "SIGSTOP at fault points", "term": "SIGTERM", "cut": "connections cut",
         "delay": "connections delayed", "reload": "scripts changed, SIGHUP", "slip": "scripts with a slip, SIGHUP",
         "scale": "processes added, removed"}


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


def closing_report(options, journal, done, findings):
    print(f"\n---- crashtest, seed {options.seed}, {done} acts, {journal.elapsed():.0f} s")
    journal.report(KINDS)
    problems = findings.report()
    kills = journal.total("kill") + journal.total("fault kill")
    others = sum(journal.total(kind) for kind in ("freeze", "fault freeze", "cut", "delay"))
    print(f"view, answers and accounting: {'UNEQUAL' if problems else 'equal'}",
          f"{kills} kills, {others} freezes and cuts", sep="\n")


def run(options, folder, cleanup):
    journal = Journal()
    journal.say(f"crashtest, seed {options.seed}, logs in {folder}")
    deployment = Deployment(folder, stack.ROOT / options.build, options.kafka, cleanup)
    deployment.start(SLOTS)
    stream = Stream(options.seed)
    producer = Producer(deployment.kafka.brokers, stream, options.rate)
    readers = Readers(deployment.slots, stream.batch_ids)
    plan = FaultPlan(options.seed, hasty=options.minutes is None)
    driver = Driver(options.seed, deployment, plan, journal)
    findings = Findings()
    producer.start()
    readers.start()
    driver.open_with_zombie(lambda: times_held_off(deployment) > 0)
    done = disturb(options, driver, journal)
    producer.end()
    driver.settle()
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
    launch("crashtest", parse(arguments), run)
