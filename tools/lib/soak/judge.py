"""Judges a soak: the view is right, everything is accounted for, and nothing has piled up."""
import statistics

import stack
from crashtest import log, verify
from crashtest.deployment import DATABASE, PARTITIONS
from crashtest.judge import DRAIN_LIMIT_S

from . import rest

# What malloc once took for the backlog after an outage it keeps: memory rises in steps until every
# kind of outage has been, and a trend says something in a run in which the second quarter has seen
# them all.
TREND_FROM_MINUTES = 20
GROWTH, GROWTH_MB = 1.25, 8
# At any time: what waits in librdkafka's queues (64 MB a worker), two batches, cache and states.
MOST_MEMORY_MB = 512
LAG_LIMIT_S = 30


def median_mb(samples):
    return statistics.median(sample.memory_mb for sample in samples)


def judge_memory(slot, samples, minutes, findings):
    """The last quarter against the second: the first is warm-up."""
    quarter = len(samples) // 4
    if quarter == 0:
        findings.problems.append(f"{slot} was looked at {len(samples)} times only")
        return
    medians = [median_mb(samples[number * quarter:(number + 1) * quarter]) for number in range(4)]
    _, second, _, last = medians
    most = max(sample.memory_mb for sample in samples)
    findings.fact(f"{slot} memory MB", round(samples[0].memory_mb), "at first; medians of the "
                  f"quarters {', '.join(f'{mb:.0f}' for mb in medians)}; most {most:.0f}")
    if most > MOST_MEMORY_MB:
        findings.problems.append(f"{slot} held {most:.0f} MB")
    if minutes >= TREND_FROM_MINUTES and last > GROWTH * second + GROWTH_MB:
        findings.problems.append(f"{slot} grew from {second:.0f} to {last:.0f} MB")


def judge_rest(slot, before, proxies, findings):
    rest.ask_in_every_state(slot, proxies)
    findings.problems += rest.more_than(before, slot, proxies)
    now = rest.settled(slot, proxies).at_rest()
    findings.fact(f"{slot} at rest", round(before.memory_mb), "MB before; " + ", ".join(
        f"{what} {count} then {now[what]}" for what, count in before.at_rest().items()))


def judge_lag(deployment):
    stack.wait_until("no lag", lambda: not any(
        slot.program.metric("ras_consumer_lag_messages") for slot in deployment.slots), LAG_LIMIT_S)


def judge_accounting(deployment, findings):
    """Waits until everything is consumed."""
    url = deployment.postgres.url(DATABASE)
    reader = log.open_reader(deployment.kafka.brokers)
    ends = log.end_offsets(reader, deployment.topics, PARTITIONS)
    reader.close()
    drained_s = verify.wait_drained(url, ends, DRAIN_LIMIT_S)
    held = verify.offsets(url)
    totals = {outcome: sum(counts[outcome] for _, counts in held.values())
              for outcome in verify.OUTCOMES}
    findings.fact("drained in s", round(drained_s, 1), "after the end of faults and stream")
    findings.fact("accounted for", sum(totals.values()), f"of {sum(ends.values())}: " +
                  ", ".join(f"{outcome} {count}" for outcome, count in totals.items()))
    findings.problems += verify.check_accounting(held, ends) + verify.check_history(url)


def judge_view(deployment, findings):
    """By the program's own means: it builds the view anew from the log and compares."""
    program = deployment.program(deployment.folder / "verify", deployment.postgres.url(DATABASE))
    done = program.command("verify", check=False)
    if done.returncode != 0:
        findings.problems.append(f"aggregator verify: exit {done.returncode}: "
                                 f"{(done.stdout + done.stderr)[-2000:]}")
