"""Measured figures: a JSON file that `tools/capacity --measure` writes.

A *unit* is what events are about: a batch, of so many *parts* (essays). The file has the sums of whole
units of two sizes; those of other sizes lie on the line through them. A service without parts has one
size."""
import dataclasses
import json
import pathlib

SHIPPED = pathlib.Path(__file__).with_name("figures.json")


@dataclasses.dataclass(frozen=True)
class Unit:
    """Sums of a whole unit; the last five are of one query for it."""

    events: float
    rows: float  # of tables that keep them
    own_us: float  # CPU of the program
    postgres_us: float
    redis_us: float
    wal_bytes: float
    kafka_bytes: float  # of records that are read
    table_bytes: float  # with dead rows
    index_bytes: float
    outbox_bytes: float  # with indexes
    redis_bytes: float  # of the ids of processed events
    response_bytes: float
    query_own_us: float  # not cached
    query_postgres_us: float
    query_ms: float  # one after the other
    hit_own_us: float  # cached in the process


@dataclasses.dataclass(frozen=True)
class Common:
    """What does not depend on the unit."""

    commit_s: float  # from one transaction to the next beside a slow stream
    transaction_own_us: float
    transaction_postgres_us: float
    transaction_redis_us: float
    transaction_wal_bytes: float
    idle_own_us: float  # CPU a second of a process with one worker
    idle_postgres_us: float
    idle_redis_us: float
    idle_mb: float  # resident
    worker_mb: float  # more at full load, for each worker
    tag_bytes: float  # Redis, of each surrogate key of a cached response
    growth_per_decade: float  # Postgres' CPU of writes: more for ten times the rows
    measured_rows: float  # of the view in which the units were measured


UNIT_KEYS = [field.name for field in dataclasses.fields(Unit)]
COMMON_KEYS = [field.name for field in dataclasses.fields(Common)]


@dataclasses.dataclass(frozen=True)
class Figures:
    about: dict  # date, machine, versions, service
    unit: str  # "batch"
    part: str  # "essay"; "": units have no size
    sizes: dict  # {parts: Unit}, by size
    common: Common

    def at(self, parts):
        """The Unit of that many parts. No figure falls as the unit grows: that would be noise."""
        ordered = sorted(self.sizes)
        low, high = ordered[0], ordered[-1]
        if not self.part or low == high:
            return self.sizes[low]
        share = (parts - low) / (high - low)
        first, last = self.sizes[low], self.sizes[high]
        return Unit(**{key: interpolated(getattr(first, key), getattr(last, key), share)
                       for key in UNIT_KEYS})


def interpolated(first, last, share):
    """On the line through both, but not below a tenth of the smaller unit's figure."""
    return max(first + max(0, last - first) * share, first / 10)


def numbers_of(table, keys, where):
    """The table's numbers by key; ValueError: what is missing or wrong."""
    if not isinstance(table, dict):
        raise ValueError(f"{where} is no object")
    wrong = [key for key in keys if isinstance(table.get(key), bool) or
             not isinstance(table.get(key), (int, float)) or table[key] < 0]
    if wrong:
        raise ValueError(f"{where}: {', '.join(wrong)}: a number of at least 0 is missing")
    return {key: float(table[key]) for key in keys}


def parse(document):
    """Figures of a decoded file; ValueError: what is wrong."""
    common = Common(**numbers_of(document.get("common"), COMMON_KEYS, "common"))
    sizes = document.get("sizes")
    if not isinstance(sizes, dict) or not sizes or not all(size.isdigit() for size in sizes):
        raise ValueError("sizes: there is no unit")
    units = {int(size): Unit(**numbers_of(unit, UNIT_KEYS, f"sizes.{size}"))
             for size, unit in sizes.items()}
    if any(unit.events <= 0 for unit in units.values()):
        raise ValueError("sizes: a unit has no events")
    return Figures(document.get("about") or {}, document.get("unit") or "unit",
                   document.get("part") or "", units, common)


def load(path):
    """ValueError names the file and what is wrong with it."""
    try:
        document = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise ValueError("it is no object")
        return parse(document)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}: tools/capacity --measure FILE writes one") \
            from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}: tools/capacity --measure FILE writes one") from None


def dump(figures):
    """The document of a file."""
    return {"about": figures.about, "unit": figures.unit, "part": figures.part,
            "common": dataclasses.asdict(figures.common),
            "sizes": {str(size): dataclasses.asdict(unit) for size, unit in figures.sizes.items()}}
