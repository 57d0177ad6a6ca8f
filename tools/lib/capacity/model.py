"""What a site needs. Pure functions of a Site and Figures; every need grows with the load."""
import dataclasses
import itertools
import math

DAY_S = 86400
GB, MB = 1e9, 1e6
COMMAND_CONNECTIONS = 8  # docs/operate/rights.md: of the greediest command beside the program
OTHER_CONNECTIONS = 5  # of a process, beside those of states and workers
RESERVED_CONNECTIONS = 3  # superuser_reserved_connections
BUSY = 0.7  # share of what a worker drains, beyond which none is planned


@dataclasses.dataclass(frozen=True)
class Need:
    value: float
    unit: str
    why: str = ""


def turns(shared, unit_events, wait_us):
    """[(events a second, Shared)]: while one worker gets so many, so many share a transaction.

    A worker has one transaction at a time, and takes what has come meanwhile into the next. A turn lasts
    as long as processors work for its transaction, one after the other, and as it waits. As many events
    come while it lasts as the next one has: from one event on, until a transaction is full. Between two
    of these rates, what is taken a second lies on the line, since the turn grows with its events."""
    found = []
    for one in shared:
        turn_us = one.events * one.turn_us / unit_events + wait_us
        rate = one.events / turn_us * 1e6
        found.append((max(rate, found[-1][0] if found else 0), one))
    return found


class Load:
    """The rates of a site at its peak, and the unit that they are about."""

    def __init__(self, site, figures):
        self.site, self.common = site, figures.common
        self.unit = figures.at(site.essays)
        self.units = site.peak_events / self.unit.events  # a second
        self.mean_units = site.events / self.unit.events
        self.kept_units = self.mean_units * DAY_S * site.days
        self.turns = turns(figures.shared_of(site.essays), self.unit.events, site.wait_ms * 1e3)
        self.full = self.turns[-1][1]  # Shared
        self.worker_rate = site.peak_events / site.active_workers

    def taken(self, of_event, rate):
        """What all workers take a second while each gets so many events, by what a Shared takes of an
        event."""
        workers = self.site.active_workers
        for (low, slower), (high, faster) in itertools.pairwise(((0, self.turns[0][1]), *self.turns)):
            if rate < high:
                share = (rate - low) / (high - low)
                return workers * (low * of_event(slower) * (1 - share) +
                                  high * of_event(faster) * share)
        return workers * rate * of_event(self.full)

    @property
    def transactions(self):
        return self.taken(lambda one: 1 / one.events, self.worker_rate)

    def most(self, key):
        """The most that they take of a field of Shared, a second, on the way from no event to the peak:
        a lower rate can take more, since it has more transactions."""
        slower = (rate for rate, _ in self.turns if rate < self.worker_rate)
        return max(self.taken(lambda one: getattr(one, key) / self.unit.events, rate)
                   for rate in (self.worker_rate, *slower))

    def least(self, key):
        """What they take where processors are busy: turns wait then, and transactions are full."""
        return self.units * getattr(self.full, key)

    def growth(self):
        """Postgres' CPU of a write into the view that the site keeps, as a multiple of the
        measured. What a transaction takes beside its rows does not grow."""
        rows = max(self.kept_units * self.unit.rows, 1)
        decades = math.log10(rows / max(self.common.measured_rows, 1))
        return 1 + self.common.growth_per_decade * max(0, decades)


# ---- processors -----------------------------------------------------------------------------------
# take: Load.most; Load.least is what they must have.


def postgres_write_cores(load, take=Load.most):
    grown_us = load.units * load.full.postgres_us * (load.growth() - 1)
    return (take(load, "postgres_us") + grown_us +
            load.site.processes * load.common.idle_postgres_us) / 1e6


def query_cores(load):
    """Of Postgres, or of all replicas together."""
    return load.site.misses * load.unit.query_postgres_us / 1e6


def primary_cores(load, take=Load.most):
    return postgres_write_cores(load, take) + (0 if load.site.replicas else query_cores(load))


def replica_cores(load):
    """Of each; without replaying the log."""
    return query_cores(load) / load.site.replicas if load.site.replicas else 0


def busy_workers(load):
    """Workers that would do nothing but drain a backlog of that rate. While Postgres works for a
    transaction, the worker prepares the next one: the longer of both is the time of a transaction."""
    waits_us = load.site.wait_ms * 1e3 * load.unit.events / load.full.events
    return load.units * (max(load.full.own_us, load.full.postgres_us * load.growth()) +
                         waits_us) / 1e6


def process_cores(load, take=Load.most):
    """Of all processes together."""
    hits = load.site.queries * load.site.peak * load.site.hit_ratio
    return (take(load, "own_us") + load.site.misses * load.unit.query_own_us +
            hits * load.unit.hit_own_us + load.site.processes * load.common.idle_own_us) / 1e6


def redis_cores(load, take=Load.most):
    return (take(load, "redis_us") + load.site.processes * load.common.idle_redis_us) / 1e6


def busy_states(load):
    """Lua states at work at a time."""
    return load.site.misses * load.unit.query_ms / 1e3


# ---- bytes ----------------------------------------------------------------------------------------


def view_bytes(load):
    return load.kept_units * (load.unit.table_bytes + load.unit.index_bytes)


def outbox_bytes(load):
    return load.mean_units * DAY_S * load.site.outbox_days * load.unit.outbox_bytes


def database_bytes(load):
    return view_bytes(load) + outbox_bytes(load)


def hot_bytes(load):
    """All indexes, whose pages random ids touch, and the rows of the hot days."""
    hot_units = load.mean_units * DAY_S * load.site.hot_days
    return load.kept_units * load.unit.index_bytes + hot_units * load.unit.table_bytes


def wal_bytes(load):
    """A second, at the peak."""
    return load.most("wal_bytes")


def seen_bytes(load):
    """Of the ids of processed events. Above half of the bound they are kept for a third of it: there are
    about as many as half of it holds."""
    unbounded = load.mean_units * load.site.seen_s * load.unit.redis_bytes
    return min(unbounded, load.site.seen_mb * 1048576 / 2) if load.site.seen_mb else unbounded


def cached_bytes(load):
    """Each miss stores a response until its end, with a tag for each part and one for the unit."""
    one = load.unit.response_bytes + load.common.tag_bytes * (load.site.essays + 1)
    return load.site.misses * load.site.ttl_s * one


def redis_bytes(load):
    return seen_bytes(load) + cached_bytes(load)


def kafka_bytes(load):
    """Of all brokers together."""
    return (load.mean_units * DAY_S * load.site.kafka_days * load.unit.kafka_bytes *
            load.site.kafka_copies)


def kafka_out_bytes(load):
    """A second, at the peak: to the program, and to the other copies."""
    return load.units * load.unit.kafka_bytes * load.site.kafka_copies


# ---- counts ---------------------------------------------------------------------------------------


def wanted_workers(load):
    """So that none is busier than BUSY."""
    return max(1, math.ceil(busy_workers(load) / BUSY))


def postgres_connections(site):
    each = site.states + site.workers + OTHER_CONNECTIONS
    return site.processes * each + COMMAND_CONNECTIONS + RESERVED_CONNECTIONS


def process_mb(load):
    return load.common.idle_mb + load.site.workers * load.common.worker_mb


# ---- all of it ------------------------------------------------------------------------------------


def needs(site, figures):
    """{server: {what: Need}}"""
    load = Load(site, figures)
    unit = load.unit
    postgres = {
        "processors": Need(primary_cores(load), "cores",
                           f"writes {postgres_write_cores(load):.2f}, queries "
                           f"{primary_cores(load) - postgres_write_cores(load):.2f}; "
                           f"{primary_cores(load, Load.least):.2g} in full transactions"),
        "disk": Need(database_bytes(load) / GB, "GB", "with indexes and dead rows; the view once "
                     "more while verify or rebuild runs"),
        "memory": Need(hot_bytes(load) / GB, "GB", "all indexes and the hot days' rows"),
        "log": Need(wal_bytes(load) / MB, "MB/s", f"{load.transactions:,.0f} transactions/s"),
        "connections": Need(postgres_connections(site), "", "twice the processes' during an upgrade"),
    }
    if site.replicas:
        postgres["processors of a replica"] = Need(replica_cores(load), "cores",
                                                   "without replaying the log")
    return {
        "Kafka": {
            "disk": Need(kafka_bytes(load) / GB, "GB", "of all brokers"),
            "network in": Need(load.units * unit.kafka_bytes / MB, "MB/s", "from producers"),
            "network out": Need(kafka_out_bytes(load) / MB, "MB/s", "to the program and to copies"),
            "partitions": Need(max(wanted_workers(load), site.processes * site.workers), "",
                               "at least; more let more workers start later"),
        },
        "Postgres": postgres,
        "Redis": {
            "memory": Need(redis_bytes(load) / GB, "GB", f"ids of processed events {seen_bytes(load) / GB:.2f}, "
                           f"cached responses at most {cached_bytes(load) / GB:.2f}"),
            "processors": Need(redis_cores(load), "cores", "it uses one"),
        },
        "processes": {
            "processors": Need(process_cores(load), "cores", "of all together; "
                               f"{process_cores(load, Load.least):.2g} in full transactions"),
            "memory": Need(process_mb(load), "MB", "each, without its cache"),
            "workers": Need(wanted_workers(load), "", f"of all together; with a partition: "
                            f"{site.active_workers}"),
        },
    }
