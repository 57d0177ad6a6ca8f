"""Draws a chart: groups of bars from the left to the right edge, a panel for each unit."""
import re

import matplotlib

from .report import show

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402 (after the choice of what it draws with)

SETTINGS = {"svg.hashsalt": "aggregator",  # the same ids each time
            "svg.fonttype": "none",  # text as text, not as outlines
            "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
METADATA = {"Date": None, "Creator": None}  # nor what changes from day to day
WIDTH_IN, BAR_IN, AROUND_IN = 8, 0.22, 0.9
GROUP = 0.8  # of the distance of two groups: the rest is between them
ROOM = 1.18  # for the figure behind the longest bar


def distinct(words):
    return list(dict.fromkeys(words))


def in_order(labels):
    """By the number in front, where there is one."""
    def number(label):
        digits = re.match(r"[\d,]+", label)
        return int(digits[0].replace(",", "")) if digits else 0

    return sorted(distinct(labels), key=number)


def bars(axes, points, labels, series):
    """One series' after the other; a line through each from the least run to the most."""
    height = GROUP / len(series)
    for index, name in enumerate(series):
        own = [point for point in points if point.series == name]
        places = [labels.index(point.label) + (index + 0.5) * height - GROUP / 2 for point in own]
        errors = [[point.value - point.least for point in own],
                  [point.most - point.value for point in own]]
        axes.barh(places, [point.value for point in own], height * 0.9, xerr=errors, label=name,
                  color=f"C{index}", error_kw={"elinewidth": 0.8, "ecolor": "0.3"})
        for place, point in zip(places, own):
            axes.text(point.most, place, f" {show(point.value)}", va="center", fontsize=8)


def panel(axes, unit, points):
    labels = in_order(point.label for point in points)
    series = distinct(point.series for point in points)
    bars(axes, points, labels, series)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlim(0, max(point.most for point in points) * ROOM)
    axes.set_xlabel(unit)
    axes.xaxis.set_major_formatter("{x:,g}")
    if len(series) > 1:
        axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


def height_in(points):
    """Of a panel: as high as if each group had a bar of every series."""
    groups, series = {point.label for point in points}, {point.series for point in points}
    return len(groups) * len(series) * BAR_IN + AROUND_IN


def draw(chart, points, path):
    panels = {unit: [point for point in points if point.unit == unit] for unit in chart.units}
    panels = {unit: own for unit, own in panels.items() if own}
    heights = [height_in(own) for own in panels.values()]
    with matplotlib.rc_context(SETTINGS):
        figure, axes = pyplot.subplots(len(panels), figsize=(WIDTH_IN, sum(heights)), squeeze=False,
                                       height_ratios=heights, layout="constrained")
        for one, (unit, own) in zip(axes[:, 0], panels.items()):
            panel(one, unit, own)
        figure.suptitle(chart.title)
        figure.savefig(path, format="svg", metadata=METADATA)
        pyplot.close(figure)
