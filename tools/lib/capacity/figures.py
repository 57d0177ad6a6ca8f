"""Measured figures: a JSON file that `tools/capacity --measure` writes.

A *unit* is what events are about: a batch, of so many *parts* (essays). The file has the sums of whole
units of two sizes; those of other sizes lie on the line through them. A service without parts has one
size. What a unit takes of processors and of Postgres' log depends on how many events share a
transaction: it is measured with several numbers of them."""
import dataclasses
import functools
import itertools
import json
import pathlib

SHIPPED = pathlib.Path(__file__).with_name("figures.json")


@dataclasses.dataclass(frozen=True)
class Shared:
    """What a whole unit takes while so many events share a transaction."""

    events: float  # of a transaction
    own_us: float  # CPU of the program
    postgres_us: float
    redis_us: float
    wal_bytes: float

    @property
    def turn_us(self):
        """CPU of all that work for a transaction one after the other."""
        return self.own_us + self.postgres_us + self.redis_us


@dataclasses.dataclass(frozen=True)
class Unit:
    """Sums of a whole unit; the last five are of one query for it."""

    events: float
    rows: float  # of tables that keep them
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

    idle_own_us: float  # CPU a second of a process with one worker
    idle_postgres_us: float
    idle_redis_us: float
    idle_mb: float  # resident
    worker_mb: float  # more at full load, for each worker
    tag_bytes: float  # Redis, of each surrogate key of a cached response
    growth_per_decade: float  # Postgres' CPU of writes: more for ten times the rows
    measured_rows: float  # of the view in which the units were measured


def keys_of(kind):
    return [field.name for field in dataclasses.fields(kind)]


UNIT_KEYS, SHARED_KEYS, COMMON_KEYS = keys_of(Unit), keys_of(Shared), keys_of(Common)
TAKEN_KEYS = SHARED_KEYS[1:]


@dataclasses.dataclass(frozen=True, eq=False)
class Figures:
    about: dict  # date, machine, versions, service
    unit: str  # "batch"
    part: str  # "essay"; "": units have no size
    sizes: dict  # {parts: Unit}
    shared: dict  # {parts: a tuple of Shared, as in_order() returns it}
    common: Common

    def at(self, parts):
        """The Unit of that many parts."""
        return self.between(self.sizes, UNIT_KEYS, Unit, parts)

    @functools.lru_cache(maxsize=64)
    def shared_of(self, parts):
        """The Shared of a unit of that many parts, from one event a transaction to the most."""
        counts = sorted({1.0, *(one.events for found in self.shared.values() for one in found)})
        return in_order(self.between({size: with_events(found, count)
                                      for size, found in self.shared.items()},
                                     TAKEN_KEYS, functools.partial(Shared, count), parts)
                        for count in counts)

    def between(self, found, keys, kind, parts):
        """`found` (by parts) at that many parts. No figure falls as the unit grows: that would be
        noise."""
        ordered = sorted(found)
        low, high = ordered[0], ordered[-1]
        if not self.part or low == high:
            return found[low]
        share = (parts - low) / (high - low)
        return kind(**{key: interpolated(getattr(found[low], key), getattr(found[high], key), share)
                       for key in keys})


def interpolated(first, last, share):
    """On the line through both, but not below a tenth of the smaller unit's figure."""
    return max(first + max(0, last - first) * share, first / 10)


def with_events(shared, count):
    """A Shared with so many events a transaction. What a transaction takes is a part of its own and one
    for each event, on the line through the two that were measured with fewer and more events."""
    if len(shared) == 1 or count >= shared[-1].events:
        return dataclasses.replace(shared[-1], events=count)
    low, high = next((pair for pair in itertools.pairwise(shared) if count < pair[1].events))
    share = (1 / count - 1 / low.events) / (1 / high.events - 1 / low.events)
    return Shared(count, *(getattr(low, key) + (getattr(high, key) - getattr(low, key)) * share
                           for key in TAKEN_KEYS))


def in_order(shared):
    """By their events. A unit takes no more where more events share a transaction: that would be
    noise."""
    found = []
    for one in sorted(shared, key=lambda one: one.events):
        if found:
            one = Shared(one.events, *(min(getattr(one, key), getattr(found[-1], key))
                                       for key in TAKEN_KEYS))
        found.append(one)
    return tuple(found)


def numbers_of(table, keys, where):
    """The table's numbers by key; ValueError: what is missing or wrong."""
    if not isinstance(table, dict):
        raise ValueError(f"{where} is no object")
    wrong = [key for key in keys if isinstance(table.get(key), bool) or
             not isinstance(table.get(key), (int, float)) or table[key] < 0]
    if wrong:
        raise ValueError(f"{where}: {', '.join(wrong)}: a number of at least 0 is missing")
    return {key: float(table[key]) for key in keys}


def shared_of_table(table, where):
    """Of a size's table."""
    listed = table.get("shared")
    if not isinstance(listed, list) or not listed:
        raise ValueError(f"{where}: shared: there is none")
    found = in_order(Shared(**numbers_of(one, SHARED_KEYS, f"{where}.shared")) for one in listed)
    if found[0].events < 1 or any(low.events == high.events for low, high in itertools.pairwise(found)):
        raise ValueError(f"{where}.shared: events are at least 1, and each number is another one")
    return found


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
    shared = {int(size): shared_of_table(unit, f"sizes.{size}") for size, unit in sizes.items()}
    return Figures(document.get("about") or {}, document.get("unit") or "unit",
                   document.get("part") or "", units, shared, common)


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
            "sizes": {str(size): dataclasses.asdict(unit) | {
                "shared": [dataclasses.asdict(one) for one in figures.shared[size]]}
                for size, unit in figures.sizes.items()}}
