"""Judges a soak: the view is right, every event is accounted for, and nothing has grown."""
import statistics

import stack
from crashtest import log, verify
from crashtest.deployment import DATABASE, PARTITIONS
from crashtest.judge import DRAIN_LIMIT_S

from . import rest

# malloc keeps the memory of a backlog in an arena of the fetching thread: memory rises in steps with
# the largest backlog, up to librdkafka's queue limit (64 MB a worker). A trend is meaningful only if
# the second quarter has reached that.
TREND_FROM_MINUTES = 30
GROWTH, GROWTH_MB = 1.25, 8
# Generous limits at any time: cache and states; per worker its queue and two batches.
MOST_MB, MOST_WORKER_MB = 96, 160
LAG_LIMIT_S = 30


def median_mb(samples):
    return statistics.median(sample.memory_mb for sample in samples)


def judge_memory(slot, samples, minutes, findings):
    """Compares the last quarter with the second; the first is warm-up."""
    quarter = len(samples) // 4
    if quarter == 0:
        findings.problems.append(f"{slot} was looked at {len(samples)} times only")
        return
    medians = [median_mb(samples[number * quarter:(number + 1) * quarter]) for number in range(4)]
    _, second, _, last = medians
    most = max(sample.memory_mb for sample in samples)
    findings.fact(f"{slot} memory MB", round(samples[0].memory_mb), "at first; medians of the "
                  f"quarters {', '.join(f'{mb:.0f}' for mb in medians)}; most {most:.0f}")
    allowed = MOST_MB + MOST_WORKER_MB * int(slot.program.env["INGEST_WORKERS"])
    if most > allowed:
        findings.problems.append(f"{slot} held {most:.0f} MB, more than {allowed}")
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
    """Runs `aggregator verify`."""
    program = deployment.program(deployment.folder / "verify", deployment.postgres.url(DATABASE))
    done = program.command("verify", check=False)
    if done.returncode != 0:
        findings.problems.append(f"aggregator verify: exit {done.returncode}: "
                                 f"{(done.stdout + done.stderr)[-2000:]}")
