"""Which limit comes first, and at what load: the factor of the site's load at which a need has grown
to what the site has."""
import dataclasses

from . import model

MOST_FACTOR = 1e6  # beyond that a limit is not reached
STEPS = 60  # of halving: enough for all digits


@dataclasses.dataclass(frozen=True)
class Limit:
    name: str
    has: float
    needs: float
    unit: str
    factor: float  # of the load; None: not reached
    then: str  # what to do


def rows(site):
    """(name, what the site has or None, its unit, the need, what to do). Processors that are busy make
    turns longer and so transactions larger, which is no limit yet."""
    workers = site.active_workers
    return (
        ("Postgres' processors", site.postgres_cores, "cores",
         lambda load: model.primary_cores(load, model.Load.least),
         "more cores; replicas or a longer cache.ttl_s for queries"),
        ("a replica's processors", site.postgres_cores if site.replicas else None, "cores",
         model.replica_cores, "more replicas"),
        ("the disk of Postgres' log", site.log_mb_s, "MB/s",
         lambda load: model.wal_bytes(load) / model.MB, "a faster disk; a larger max_wal_size"),
        ("the size of Postgres' disk", site.disk_gb, "GB",
         lambda load: model.database_bytes(load) / model.GB, "a larger disk, or fewer days"),
        ("Postgres' memory", site.memory_gb, "GB",
         lambda load: model.hot_bytes(load) / model.GB, "more memory, or fewer days"),
        ("Redis' one thread", 1, "cores",
         lambda load: model.redis_cores(load, model.Load.least), "a Redis of its own for each service"),
        ("Redis' memory", site.redis_gb, "GB",
         lambda load: model.redis_bytes(load) / model.GB, "more memory, or a lower redis.seen_max_mb"),
        ("workers with a partition", workers, "workers", model.busy_workers,
         "more ingest.workers, or partitions"),
        ("the processes' processors", site.process_cores * site.processes, "cores",
         lambda load: model.process_cores(load, model.Load.least), "more processes"),
        ("Lua states", site.states * site.processes, "states", model.busy_states,
         "more http.states, or processes"),
        ("Kafka's network", site.network_mb_s, "MB/s",
         lambda load: model.kafka_out_bytes(load) / model.MB, "more brokers"),
    )


def factor_of(site, figures, has, need):
    """The largest factor of the load whose need the site has; None: beyond MOST_FACTOR."""
    def fits(factor):
        return need(model.Load(site.scaled(factor), figures)) <= has

    if fits(MOST_FACTOR):
        return None
    low, high = 0.0, MOST_FACTOR
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def limits(site, figures):
    """Of the site, the first to come first."""
    load = model.Load(site, figures)
    found = [Limit(name, has, need(load), unit, factor_of(site, figures, has, need), then)
             for name, has, unit, need, then in rows(site) if has is not None]
    return sorted(found, key=lambda limit: MOST_FACTOR if limit.factor is None else limit.factor)
