"""What `tools/bench plot` draws: one entry a chart."""
import re
import typing


class Point(typing.NamedTuple):
    unit: str
    label: str  # of the group of bars
    series: str  # of the bar in it
    value: float
    least: float  # of the runs
    most: float


class Chart(typing.NamedTuple):
    name: str
    title: str
    files: str  # as a glob
    units: tuple  # of the figures that are drawn, a panel each
    pattern: str  # of "stem of the file: name of a figure"; `label` and `series` are its groups
    series: tuple = ("", "")  # without such a group: of the figure, and of what it is beside

    def points(self, stem, figures):
        found = []
        for figure in figures:
            named = re.fullmatch(self.pattern, f"{stem}: {figure['name']}")
            if named and figure["unit"] in self.units:
                found += self.bars(figure, **named.groupdict())
        return found

    def bars(self, figure, label, series=None):
        value, beside = figure["value"], figure["without"]
        runs = figure["runs"] or [value]
        yield Point(figure["unit"], label, series or self.series[0], value, min(runs), max(runs))
        if beside is not None and self.series[1]:
            yield Point(figure["unit"], label, self.series[1], beside, beside, beside)


CHARTS = (
    Chart("streams", "A backlog of each stream: the program, and what others make of its rows",
          "drain-*.json", ("events/s",),
          r"drain-(?P<label>.+): (?P<series>aggregator|bare|single)"),
    Chart("http", "One status answer, 16 connections", "http.json", ("requests/s",),
          r"http: (?P<label>.+)"),
    Chart("scale", "Spell checks, by partitions, processes and workers of each", "scale.json",
          ("events/s",), r"scale: (?P<label>\d+ partitions?), (?P<series>.+)"),
    Chart("peer", "Spell checks, beside a plain consumer written for them alone", "peer.json",
          ("events/s", "µs of its own CPU an event", "µs of Postgres' CPU an event",
           "MB resident at most"), r"peer: (?P<label>aggregator|peer)"),
    Chart("growth", "New rows, by how many the view has", "growth.json",
          ("events/s", "µs of Postgres' CPU an event"), r"growth: (?P<label>[\d,]+ rows)",
          ("aggregator", "bare")),
)
