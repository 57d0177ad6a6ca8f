"""What a site needs. Pure functions of a Site and Figures; every need grows with the load."""
import dataclasses
import math

DAY_S = 86400
GB, MB = 1e9, 1e6
COMMAND_CONNECTIONS = 8  # docs/operate/rights.md: of the greediest command beside the program
OTHER_CONNECTIONS = 5  # of a process, beside those of states and workers
RESERVED_CONNECTIONS = 3  # superuser_reserved_connections
BUSY = 0.7  # share of a processor beyond which a worker is not planned


@dataclasses.dataclass(frozen=True)
class Need:
    value: float
    unit: str
    why: str = ""


def transactions(rate, workers, common):
    """Transactions a second: one begins with the first event after the one before, so that there are
    as many as events at low rates, and as many as fit at high ones."""
    each = rate / workers
    return workers * each / (1 + each * common.commit_s)


class Load:
    """The rates of a site at its peak, and the unit that they are about."""

    def __init__(self, site, figures):
        self.site, self.common = site, figures.common
        self.unit = figures.at(site.essays)
        self.units = site.peak_events / self.unit.events  # a second
        self.mean_units = site.events / self.unit.events
        self.transactions = transactions(site.peak_events, site.active_workers, self.common)
        self.kept_units = self.mean_units * DAY_S * site.days

    def growth(self):
        """Postgres' CPU of a write into the view that the site keeps, as a multiple of the
        measured."""
        rows = max(self.kept_units * self.unit.rows, 1)
        decades = math.log10(rows / max(self.common.measured_rows, 1))
        return 1 + self.common.growth_per_decade * max(0, decades)


# ---- processors -----------------------------------------------------------------------------------


def postgres_write_cores(load):
    return (load.units * load.unit.postgres_us * load.growth() +
            load.transactions * load.common.transaction_postgres_us +
            load.site.processes * load.common.idle_postgres_us) / 1e6


def query_cores(load):
    """Of Postgres, or of all replicas together."""
    return load.site.misses * load.unit.query_postgres_us / 1e6


def primary_cores(load):
    return postgres_write_cores(load) + (0 if load.site.replicas else query_cores(load))


def replica_cores(load):
    """Of each; without replaying the log."""
    return query_cores(load) / load.site.replicas if load.site.replicas else 0


def ingest_cores(load):
    """Of workers and their Kafka clients."""
    return (load.units * load.unit.own_us +
            load.transactions * load.common.transaction_own_us) / 1e6


def process_cores(load):
    """Of all processes together."""
    hits = load.site.queries * load.site.peak * load.site.hit_ratio
    return ingest_cores(load) + (load.site.misses * load.unit.query_own_us +
                                 hits * load.unit.hit_own_us +
                                 load.site.processes * load.common.idle_own_us) / 1e6


def redis_cores(load):
    return (load.units * load.unit.redis_us +
            load.transactions * load.common.transaction_redis_us +
            load.site.processes * load.common.idle_redis_us) / 1e6


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
    return (load.units * load.unit.wal_bytes +
            load.transactions * load.common.transaction_wal_bytes)


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
    return max(1, math.ceil(ingest_cores(load) / BUSY))


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
                           f"{primary_cores(load) - postgres_write_cores(load):.2f}"),
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
            "processors": Need(process_cores(load), "cores", "of all together"),
            "memory": Need(process_mb(load), "MB", "each, without its cache"),
            "workers": Need(wanted_workers(load), "", f"of all together; with a partition: "
                            f"{site.active_workers}"),
        },
    }
