"""Measures the figures: some forty seconds for each size of a unit."""
import contextlib
import dataclasses
import datetime
import pathlib
import platform
import re
import subprocess
import time

import stack

from . import figures
from .place import Place, memory_mb

EVENTS = 40000  # of a backlog
WARM_EVENTS = 2000  # connections, plans, compiled scripts
STEADY_RATE, STEADY_S = 500, 12
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
    drained: object
    steady: object
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


def measure_events(place, size):
    lines = place.service.records(size)
    resting_mb = memory_mb(place.program, "VmRSS")
    place.feed_at_once(lines, WARM_EVENTS)
    at_rest = idle(place)
    drained = during(place, lambda: place.feed_at_once(lines, EVENTS))
    loaded_mb = memory_mb(place.program, "VmHWM")
    sizes, all_events = place.sizes(), place.fed
    steady = during(place, lambda: place.feed_slowly(lines, STEADY_RATE * STEADY_S, STEADY_RATE))
    return Measured(at_rest, drained, steady, resting_mb, loaded_mb, sizes, all_events)


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


def unit_of(seen, events, queries):
    """The Unit with so many events."""
    share = events / max(1, seen.drained.events)
    table, index, outbox, rows = (value * events / seen.all_events for value in seen.sizes)
    return figures.Unit(
        events=events, rows=rows,
        own_us=above_idle(seen.drained, seen.idle, "own_us") * share,
        postgres_us=above_idle(seen.drained, seen.idle, "postgres_us") * share,
        redis_us=above_idle(seen.drained, seen.idle, "redis_us") * share,
        wal_bytes=seen.drained.wal_bytes * share, kafka_bytes=seen.drained.kafka_bytes * share,
        table_bytes=table, index_bytes=index, outbox_bytes=outbox,
        redis_bytes=max(0, seen.drained.redis_bytes) * share, **queries)


def of_transaction(seen, unit, key):
    """What a transaction of few events takes beside what the events take in large ones."""
    events = getattr(unit, key) / unit.events * seen.steady.events
    rest = above_idle(seen.steady, seen.idle, key) - events
    return max(0.0, rest) / max(1, seen.steady.transactions)


def common_of(seen, unit):
    rate = per_second(seen.steady, "events")
    transactions = per_second(seen.steady, "transactions")
    return figures.Common(
        commit_s=max(0.0, 1 / transactions - 1 / rate) if transactions else 0.0,
        transaction_own_us=of_transaction(seen, unit, "own_us"),
        transaction_postgres_us=of_transaction(seen, unit, "postgres_us"),
        transaction_redis_us=of_transaction(seen, unit, "redis_us"),
        transaction_wal_bytes=of_transaction(seen, unit, "wal_bytes"),
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
    """When, where and of what."""
    found = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    jar = next(iter(sorted(stack.KAFKA_JARS.glob("kafka-clients-*.jar"))), pathlib.Path("unknown"))
    return {"date": datetime.date.today().isoformat(), "service": service.name,
            "processor": found[1] if found else platform.machine(), "cores": len_of_cores(),
            "aggregator": output(build / "aggregator", "--version"),
            "postgres": output(stack.POSTGRES_BIN / "postgres", "--version"),
            "redis": output("redis-server", "--version").split(" sha")[0], "kafka": jar.stem}


def len_of_cores():
    return len(re.findall(r"^processor\b", pathlib.Path("/proc/cpuinfo").read_text(), re.M))


def measure(service, build, folder, say=print):
    """Figures. Servers of their own for each size; `say` gets a line for each."""
    units, common = {}, None
    for size in service.sizes:
        with contextlib.ExitStack() as cleanup:
            place = Place(service, build, folder / f"size{size}", cleanup).start("measured")
            seen = measure_events(place, size)
            events = service.unit_events(size)
            units[size] = unit_of(seen, events, measure_queries(place, seen.idle))
            common = common or common_of(seen, units[size])
        named = f" of {size} {service.part}s" if service.part else ""
        say(f"{service.unit}{named}: {units[size].own_us / events:.1f} µs of its own CPU an event, "
            f"{units[size].postgres_us / events:.1f} of Postgres', "
            f"{units[size].wal_bytes / events / 1000:.2f} kB of log")
    return figures.Figures(about(service, build), service.unit, service.part, units, common)
