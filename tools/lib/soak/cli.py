"""The command line, the steps of a run, and the report."""
import argparse
import random

import stack
from crashtest.deployment import DATABASE, Deployment
from crashtest.driver import Driver
from crashtest.journal import Journal
from crashtest.judge import Findings, judge_ends
from crashtest.launch import launch
from crashtest.readers import Readers
from crashtest.stream import Stream

from . import judge, plan, rest
from .producer import Producer
from .samples import Sampler

SLOTS = 2
SHORT_MINUTES = 0.25
LONG_FROM_MINUTES = 2  # from then on the processes are frozen beyond their session timeout, too
WARM_EVENTS = 5000
KINDS = {"kill": "SIGKILL of servers", "freeze": "SIGSTOP", "cut": "connections cut",
         "delay": "connections delayed"}
# Redis keeps processed ids for a minute: an hour of them would fill the machine's memory.
ENV = {"REDIS_IDEMPOTENCY_TTL_SECONDS": "60"}


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="tools/soak", description="Keeps two processes under load and faults, and looks at "
        "what they hold.")
    parser.add_argument("--minutes", type=float, default=SHORT_MINUTES,
                        help="duration of load and faults (default: %(default)s)")
    parser.add_argument("--seed", default=str(random.randrange(10**6)),
                        help="repeats the decisions of another run")
    parser.add_argument("--rate", type=float, default=5000,
                        help="events a second at most; 0: as fast as they are consumed. The log "
                        "must hold all of them to the end (default: %(default)s)")
    parser.add_argument("--backlog", type=int, default=50000,
                        help="limit of the backlog, in events (default: %(default)s)")
    parser.add_argument("--build", default="build",
                        help="folder of the built program (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep logs in any case")
    return parser.parse_args(arguments)


def disturb(options, driver, journal):
    long = options.minutes >= LONG_FROM_MINUTES
    end_s = journal.elapsed() + options.minutes * 60
    while journal.elapsed() < end_s:
        driver.act()
        driver.run_for(driver.random.uniform(*((2, 8) if long else (0.5, 2))))


def warm_up(deployment, producer, driver):
    """Uses everything once, and samples the processes at rest."""
    for slot in deployment.slots:
        driver.begin(slot)
        slot.program.wait_ready(lambda slot=slot: slot.program.get("/readyz")[0] == 200)
    producer.send_first(WARM_EVENTS)
    for slot in deployment.slots:
        rest.open_all(slot, deployment.proxies)
    return {slot: rest.settled(slot, deployment.proxies) for slot in deployment.slots}


def load(options, deployment, driver, producer, stream, journal):
    """Runs the soak; returns the sampler."""
    readers = Readers(deployment.slots, stream.batch_ids)
    sampler = Sampler(deployment.slots, deployment.proxies,
                      deployment.folder / "samples.tsv")
    for thread in (producer, readers, sampler):
        thread.start()
    disturb(options, driver, journal)
    sampler.stop()
    producer.end()
    driver.settle("no more faults")
    readers.stop()
    producer.wait_delivered()
    journal.say("the stream has ended")
    return sampler


def judge_all(options, deployment, before, sampler, journal, findings):
    judge.judge_accounting(deployment, findings)
    judge.judge_lag(deployment)
    journal.say("drained; looking at what the processes hold")
    for slot in deployment.slots:
        judge.judge_memory(slot, sampler.samples[slot], options.minutes, findings)
        judge.judge_rest(slot, before[slot], deployment.proxies, findings)
    journal.say("aggregator verify")
    judge.judge_view(deployment, findings)


def closing_report(options, journal, producer, findings):
    print(f"\n---- soak, seed {options.seed}, {options.minutes} min of load and faults")
    journal.report(KINDS)
    findings.fact("events", producer.delivered,
                  f"{producer.delivered / (options.minutes * 60):.0f} a second")
    findings.report()


def run(options, folder, cleanup):
    journal = Journal()
    journal.say(f"soak, seed {options.seed}, logs in {folder}")
    deployment = Deployment(folder, stack.ROOT / options.build, "apache", cleanup, ENV)
    deployment.start(SLOTS)
    stream = Stream(options.seed)
    producer = Producer(deployment.kafka.brokers, iter(stream), options.rate, options.backlog,
                        deployment.postgres.url(DATABASE))
    acts = plan.LONG_ACTS if options.minutes >= LONG_FROM_MINUTES else plan.SERVER_ACTS
    driver = Driver(options.seed, deployment, plan.NoFaults(options.seed), journal, acts)
    findings = Findings()
    try:
        before = warm_up(deployment, producer, driver)
        journal.say("warm; load and faults begin")
        sampler = load(options, deployment, driver, producer, stream, journal)
        judge_all(options, deployment, before, sampler, journal, findings)
        judge_ends(deployment, findings)
    except AssertionError as error:
        findings.problems.append(str(error))
    findings.problems += driver.problems
    closing_report(options, journal, producer, findings)
    return findings.problems


def main(arguments=None):
    launch("soak", parse(arguments), run)
