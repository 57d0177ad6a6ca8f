"""Holds the model against loads on this machine: predicted and measured, and their ratio."""
import contextlib

import stack
from bench.queries import finish

from . import model
from .measure import WARM_EVENTS, during, idle
from .place import Place
from .site import make_site

LOADS = ((200, 20), (2000, 100), (8000, 200))  # events and queries a second
SECONDS = 15
SIZE = 20  # a unit that was not measured
# (what, unit, predicted for a second, measured in a second)
ROWS = (
    ("own CPU", "cores", model.process_cores, lambda used: used.own_us / 1e6),
    ("Postgres' CPU", "cores", model.primary_cores, lambda used: used.postgres_us / 1e6),
    ("Redis' CPU", "cores", model.redis_cores, lambda used: used.redis_us / 1e6),
    ("transactions", "/s", lambda load: load.transactions, lambda used: used.transactions),
    ("Postgres' log", "kB/s", lambda load: model.wal_bytes(load) / 1e3,
     lambda used: used.wal_bytes / 1e3),
    ("Kafka's log", "kB/s", lambda load: load.units * load.unit.kafka_bytes / 1e3,
     lambda used: used.kafka_bytes / 1e3),
    ("Postgres' tables", "kB/s", lambda load: load.units * (
        load.unit.table_bytes + load.unit.index_bytes + load.unit.outbox_bytes) / 1e3, None),
)


def beside(place, lines, load, queries):
    """What a load has used, and the bytes that the tables have gained meanwhile."""
    events, asked = load
    path = place.write(lines, events * SECONDS)
    tables = sum(place.sizes()[:3])

    def work():
        feeding = stack.feed(place.build, place.kafka.brokers, path, events, wait=False)
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(feeding.kill)
            finish(queries.start(place.program.port, SECONDS, asked))
            if feeding.wait() != 0:
                raise AssertionError("publishing failed")
            place.settle(events * SECONDS)

    used = during(place, work)
    return used, sum(place.sizes()[:3]) - tables


def delayed_ms(used):
    """Of a transaction, by the threads that work for it: the processors' load. Not all of it makes a turn
    longer, since a worker prepares a transaction while Postgres works for another."""
    return max(0, used.delayed_us) / max(1, used.transactions) / 1e3


def site_of(used, asked, wait_ms):
    """What an operator of this load would type, with the hit ratio that the metrics show."""
    looked_up = used.hits + used.misses
    return make_site(events=used.events / used.seconds, essays=SIZE, days=0,
                     queries=asked * SECONDS / used.seconds, processes=1, workers=1,
                     hit_ratio=used.hits / looked_up if looked_up else 1,
                     wait_ms=wait_ms)


def compare(figures, used, tables_bytes, site):
    """[(what, unit, predicted, measured)]"""
    load = model.Load(site, figures)
    found = []
    for what, unit, predicted, measured in ROWS:
        seen = measured(used) / used.seconds if measured else tables_bytes / used.seconds / 1e3
        found.append((what, unit, predicted(load), seen))
    return found


def show(title, rows, say):
    say(title)
    for what, unit, predicted, measured in rows:
        ratio = f"{predicted / measured:5.2f}" if measured else "     "
        say(f"  {what:18} {predicted:10.3f} predicted {measured:10.3f} measured {unit:6} {ratio}")


def check(figures, service, build, folder, loads=LOADS, wait_ms=0, say=print):
    """{load: rows of compare()}, which are printed. wait_ms: as of a Site."""
    found = {}
    size = SIZE if service.part else 1
    lines = iter(service.records(size))
    with contextlib.ExitStack() as cleanup:
        place = Place(service, build, folder / "check", cleanup).start("checked")
        place.feed_at_once(place.write(lines, WARM_EVENTS), WARM_EVENTS)
        queries, _ = place.queries()
        place.ask(queries, 1)
        idle(place, 2)
        for load in loads:
            used, tables_bytes = beside(place, lines, load, queries)
            site = site_of(used, load[1], wait_ms)
            found[load] = compare(figures, used, tables_bytes, site)
            show(f"{load[0]:,} events/s, {load[1]:,} queries/s, {size} {service.part or 'event'}s "
                 f"a {service.unit}; {site.hit_ratio:.2f} of the queries from caches; a transaction "
                 f"waited {delayed_ms(used):.1f} ms for processors", found[load], say)
    return found
