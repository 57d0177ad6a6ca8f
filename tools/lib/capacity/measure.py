"""Measures the figures: some two minutes for each size of a unit."""
import contextlib
import dataclasses
import datetime
import os
import pathlib
import platform
import re
import subprocess
import time

import stack

from . import figures
from .place import Place, memory_mb

EVENTS = 40000  # of a backlog
# Connections, plans, compiled scripts; units that have begun before the stream end in them.
WARM_EVENTS = 10000
# Events a second, for so many seconds: transactions of one event, of some, of dozens.
PACES = ((150, 10), (500, 8), (1000, 6), (2000, 6), (4000, 5), (12000, 4))
LEAST_STEP = 1.25  # of two numbers of events that are told apart
IDLE_S = 10
ASK_S, SLOW_RATE = 4, 50
TAG_BYTES = 360  # docs/operate/capacity.md
# tools/bench growth, docs/PERFORMANCE.md: 14.4 µs at 10,000 rows, 31.4 at 10,000,000.
GROWTH_PER_DECADE = (31.4 / 14.4 - 1) / 3
UNCACHED = {"CACHE_ENABLED": "false", "AGGREGATOR_CACHE_ENABLED": "false"}


@dataclasses.dataclass
class Measured:
    """Of one size: what the phases have used, per second or in all."""

    idle: object
    used: list  # at each pace, the last a backlog
    idle_mb: float
    loaded_mb: float
    sizes: tuple
    all_events: int  # that the sizes are of


def idle(place, seconds=IDLE_S):
    before = place.used()
    time.sleep(seconds)
    return place.used().since(before)


def during(place, work):
    before = place.used()
    work()
    return place.used().since(before)


def per_second(used, key):
    return getattr(used, key) / used.seconds


def above_idle(used, at_rest, key):
    """Less what the time alone has cost."""
    return max(0.0, getattr(used, key) - per_second(at_rest, key) * used.seconds)


def measure_pace(place, lines, rate, seconds):
    path = place.write(lines, rate * seconds)
    return during(place, lambda: place.feed_slowly(path, rate * seconds, rate))


def measure_events(place, size):
    lines = iter(place.service.records(size))
    resting_mb = memory_mb(place.program, "VmRSS")
    place.feed_at_once(place.write(lines, WARM_EVENTS), WARM_EVENTS)
    at_rest = idle(place)
    path = place.write(lines, EVENTS)
    drained = during(place, lambda: place.feed_at_once(path, EVENTS))
    loaded_mb = memory_mb(place.program, "VmHWM")
    sizes, all_events = place.sizes(), place.fed
    used = [measure_pace(place, lines, *pace) for pace in PACES]
    return Measured(at_rest, [*used, drained], resting_mb, loaded_mb, sizes, all_events)


def measure_queries(place, at_rest):
    """What one query takes: Unit's figures of a query."""
    queries, response_bytes = place.queries()
    place.ask(queries, 1)
    answered = {}
    cached = during(place, lambda: answered.update(place.ask(queries, ASK_S)))
    found = {"response_bytes": response_bytes,
             "hit_own_us": above_idle(cached, at_rest, "own_us") / max(1, answered["good"])}
    place.start("uncached", UNCACHED)
    place.ask(queries, 1)
    slow = place.ask(queries, 2, SLOW_RATE)
    uncached = during(place, lambda: answered.update(place.ask(queries, ASK_S)))
    count = max(1, answered["good"])
    return found | {"query_own_us": above_idle(uncached, at_rest, "own_us") / count,
                    "query_postgres_us": above_idle(uncached, at_rest, "postgres_us") / count,
                    "query_ms": slow["p50_ms"]}


def shared_of(seen, used, events):
    """The Shared of a unit with so many events."""
    share = events / max(1, used.events)
    return figures.Shared(events=max(1, used.events / max(1, used.transactions)),
                          **{key: above_idle(used, seen.idle, key) * share
                             for key in figures.TAKEN_KEYS})


def told_apart(shared):
    """Those with clearly more events a transaction than the one before: all that is more than a busy
    machine can take is a backlog."""
    found = []
    for one in figures.in_order(shared):
        if not found or one.events > found[-1].events * LEAST_STEP:
            found.append(one)
    return tuple(found)


def unit_of(seen, events, queries):
    """The Unit with so many events."""
    drained = seen.used[-1]
    share = events / max(1, drained.events)
    table, index, outbox, rows = (value * events / seen.all_events for value in seen.sizes)
    return figures.Unit(
        events=events, rows=rows, kafka_bytes=drained.kafka_bytes * share,
        table_bytes=table, index_bytes=index, outbox_bytes=outbox,
        redis_bytes=max(0, drained.redis_bytes) * share, **queries)


def common_of(seen):
    return figures.Common(
        idle_own_us=per_second(seen.idle, "own_us"),
        idle_postgres_us=per_second(seen.idle, "postgres_us"),
        idle_redis_us=per_second(seen.idle, "redis_us"),
        idle_mb=seen.idle_mb, worker_mb=max(0.0, seen.loaded_mb - seen.idle_mb),
        tag_bytes=TAG_BYTES, growth_per_decade=GROWTH_PER_DECADE,
        measured_rows=seen.sizes[3])


def output(*command):
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def about(service, build):
    """When, where, beside what load (of five minutes) and of what."""
    found = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    jar = next(iter(sorted(stack.KAFKA_JARS.glob("kafka-clients-*.jar"))), pathlib.Path("unknown"))
    return {"date": datetime.date.today().isoformat(), "service": service.name,
            "processor": found[1] if found else platform.machine(), "cores": len_of_cores(),
            "load": round(os.getloadavg()[1], 1),
            "aggregator": output(build / "aggregator", "--version"),
            "postgres": output(stack.POSTGRES_BIN / "postgres", "--version"),
            "redis": output("redis-server", "--version").split(" sha")[0], "kafka": jar.stem}


def len_of_cores():
    return len(re.findall(r"^processor\b", pathlib.Path("/proc/cpuinfo").read_text(), re.M))


def measure(service, build, folder, say=print):
    """Figures. Servers of their own for each size; `say` gets a line for each."""
    described = about(service, build)
    units, shared, common = {}, {}, None
    for size in service.sizes:
        with contextlib.ExitStack() as cleanup:
            place = Place(service, build, folder / f"size{size}", cleanup).start("measured")
            seen = measure_events(place, size)
            events = service.unit_events(size)
            units[size] = unit_of(seen, events, measure_queries(place, seen.idle))
            shared[size] = told_apart(shared_of(seen, used, events) for used in seen.used)
            common = common or common_of(seen)
        say(f"{service.unit}{f' of {size} {service.part}s' if service.part else ''}")
        for one in shared[size]:
            say(f"  {one.events:7,.1f} events a transaction: {one.own_us / events:6.1f} µs of its own "
                f"CPU an event, {one.postgres_us / events:6.1f} of Postgres', "
                f"{one.redis_us / events:6.1f} of Redis', {one.wal_bytes / events / 1e3:.2f} kB of log")
    return figures.Figures(described, service.unit, service.part, units, shared, common)
