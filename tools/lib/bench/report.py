"""Figures with their targets, for people and as JSON."""
import dataclasses
import json
import math
import statistics


@dataclasses.dataclass
class Figure:
    name: str
    value: float  # with reloads, where there are two
    unit: str = ""
    without: float = None  # the same without
    runs: list = None  # where it is the median of several
    target: str = ""
    met: bool = None  # None: there is no target
    correctness: bool = False  # a target that decides the exit status

    def row(self):
        verdict = {None: "", True: "met", False: "MISSED"}[self.met]
        return (f"{self.name}, {self.unit}" if self.unit else self.name,
                self.first_column(), show(self.value), self.target, verdict)

    def first_column(self):
        return f"{show(min(self.runs))} to {show(max(self.runs))}" if self.runs else \
            show(self.without)


def show(number):
    if number is None:
        return ""
    if isinstance(number, int) or abs(number) >= 1000:
        return f"{number:,.0f}"
    return f"{number:.2f}" if abs(number) < 10 else f"{number:.1f}"


def percentile(values, percent):
    """The percentile of the values."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


class Report:
    def __init__(self, title, columns, last="target"):
        self.title, self.columns, self.last = title, columns, last
        self.figures = []
        self.notes = []

    def add(self, name, value, unit="", **more):
        self.figures.append(Figure(name, value, unit, **more))

    def at_most(self, name, value, unit, most, **more):
        self.add(name, value, unit, target=f"< {show(most)}", met=value < most, **more)

    def median(self, name, runs, unit="", least=None):
        """Of several runs; with what it has to be at least, if there is such a target."""
        value = statistics.median(runs)
        self.add(name, value, unit, runs=runs, met=None if least is None else value >= least,
                 target="" if least is None else f"≥ {show(least)}")

    def compare(self, name, value, unit, without, most_ratio=None):
        ratio = value / without if without else float("nan")
        self.add(name, value, unit, without=without, met=most_ratio and ratio <= most_ratio,
                 target=f"≤ {most_ratio} times: {ratio:.2f}" if most_ratio else f"{ratio:.2f} times")

    def none(self, name, value, without=None):
        """A count that must be 0."""
        self.add(name, value, without=without, target="0", met=not value and not without,
                 correctness=True)

    def problems(self):
        return [figure.name for figure in self.figures if figure.correctness and not figure.met]

    def print(self):
        rows = [("", *self.columns, self.last, "")] + [figure.row() for figure in self.figures]
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        print(f"\n{self.title}")
        for row in rows:
            print(f"{row[0]:{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  "
                  f"{row[3]:{widths[3]}}  {row[4]}".rstrip())
        print(*self.notes, sep="\n")

    def write(self, path, **more):
        figures = [dataclasses.asdict(figure) for figure in self.figures]
        path.write_text(json.dumps({"title": self.title, **more, "figures": figures}, indent=1))
