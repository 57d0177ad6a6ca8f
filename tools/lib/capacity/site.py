"""What a site types: its load, what it keeps, and the machines that it has."""
import dataclasses
import math


def setting(default, least, most, help_text, whole=False):
    """A field with its bounds, for the command line and for validate()."""
    return dataclasses.field(default=default, metadata={
        "least": least, "most": most, "help": help_text, "whole": whole})


@dataclasses.dataclass(frozen=True)
class Site:
    """Rates are of the mean day; processors and networks are reckoned for the peak."""

    events: float = setting(None, 0, 1e7, "events a second, the mean of a day")
    essays: float = setting(30, 1, 100000, "essays of a batch (of a service with such parts)")
    queries: float = setting(0, 0, 1e7, "queries a second, the mean of a day")
    hit_ratio: float = setting(0.9, 0, 1, "share of queries that a cache answers")
    peak: float = setting(1, 1, 1000, "rate of the busiest hour, as a multiple of the mean")
    days: float = setting(365, 0, 36500, "days that Postgres keeps")
    hot_days: float = setting(1, 0, 36500, "newest days whose rows are read and written")
    processes: int = setting(1, 1, 1000, "processes of the program", True)
    workers: int = setting(1, 1, 64, "ingest.workers of each", True)
    states: int = setting(8, 1, 4096, "http.states of each", True)
    wait_ms: float = setting(0, 0, 60000, "of a transaction, while no processor works for it: the "
                             "flush of the log, network, busy processors")
    partitions: int = setting(3, 1, 100000, "partitions of the busiest topic", True)
    replicas: int = setting(0, 0, 1000, "replicas of Postgres that answer all queries", True)
    kafka_days: float = setting(7, 0, 36500, "days that Kafka keeps")
    kafka_copies: int = setting(3, 1, 100, "replication factor of the topics", True)
    seen_s: float = setting(86400, 0, 31536000, "redis.seen_ttl_s")
    seen_mb: float = setting(4096, 0, 1048576, "redis.seen_max_mb, in MiB; 0: no bound")
    ttl_s: float = setting(300, 0, 31536000, "cache.ttl_s")
    outbox_days: float = setting(2, 0, 36500, "days that the outbox keeps messages")
    postgres_cores: float = setting(4, 0.1, 10000, "processors of Postgres, and of each replica")
    process_cores: float = setting(2, 0.1, 10000, "processors of each process")
    log_mb_s: float = setting(100, 0.1, 1e6, "MB of log a second that Postgres' disk takes")
    network_mb_s: float = setting(125, 0.1, 1e6, "MB a second of Kafka's network, each way")
    disk_gb: float = setting(None, 1, 1e9, "GB of Postgres' disk (default: not a limit)")
    memory_gb: float = setting(None, 0.1, 1e9, "GB of Postgres' memory (default: not a limit)")
    redis_gb: float = setting(None, 0.01, 1e9, "GB of Redis' maxmemory (default: not a limit)")
    max_connections: int = setting(100, 10, 1000000, "of Postgres, or of the pooler", True)

    def scaled(self, factor):
        """The same site with so many times the load."""
        return dataclasses.replace(self, events=self.events * factor, queries=self.queries * factor)

    @property
    def peak_events(self):
        return self.events * self.peak

    @property
    def misses(self):
        """Queries a second that reach Postgres, at the peak."""
        return self.queries * self.peak * (1 - self.hit_ratio)

    @property
    def active_workers(self):
        """Workers that have a partition."""
        return min(self.processes * self.workers, self.partitions)


def option_name(field):
    return "--" + field.name.replace("_", "-")


def number(field, value):
    """The value as the field's type; ValueError: what is wrong, without the option's name."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise ValueError(f'"{value}" is no number') from None
    least, most = field.metadata["least"], field.metadata["most"]
    if not math.isfinite(found) or not least <= found <= most:
        raise ValueError(f"{value} is not within {least:g} to {most:g}")
    if field.metadata["whole"] and found != int(found):
        raise ValueError(f"{value} is no whole number")
    return int(found) if field.metadata["whole"] else found


def make_site(**values):
    """A checked Site. ValueError has a line for each mistake, which names the option."""
    problems, checked = [], {}
    for field in dataclasses.fields(Site):
        value = values.pop(field.name, field.default)
        if value is None:
            if field.name == "events":
                problems.append(f"{option_name(field)} is missing: {field.metadata['help']}")
            checked[field.name] = None
            continue
        try:
            checked[field.name] = number(field, value)
        except ValueError as error:
            problems.append(f"{option_name(field)}: {error} ({field.metadata['help']})")
    problems += [f"unknown value {name}" for name in values]
    if problems:
        raise ValueError("\n".join(problems))
    if checked["hot_days"] > checked["days"]:
        checked["hot_days"] = checked["days"]
    return Site(**checked)
