"""All of it, one after the other, and one table of what has a target.

The table and the figures of each part are written into a folder. A part that fails is named, and the
others go on."""
import json
import pathlib
import shutil
import sys
import traceback

import stack

from . import streams
from .report import Figure, Report

PARTS = {**{f"drain {name}": ["drain", "--stream", name] for name in streams.STREAMS},
         "drain spell, two workers": ["drain", "--workers", "2"],
         "drain spell, with Redis": ["drain", "--redis"],
         "http over TLS": ["http", "--tls"],
         **{name: [name] for name in ("peer", "scale", "growth", "stopped", "handling", "http",
                                      "lists", "fresh", "reactions", "live", "beside", "footprint",
                                      "reload")}}
DISK_GB = 30  # what the largest part takes: a view of ten million rows, and copies of it


def add_options(parser):
    parser.add_argument("--quick", action="store_true", help="each part with its --quick")
    parser.add_argument("--into", type=pathlib.Path, default=stack.ROOT / ".test" / "bench",
                        help="folder of the figures (default: .test/bench)")


def file_of(options, name):
    return options.into / (name.replace(",", "").replace(" ", "-") + ".json")


def run_part(options, name, run_one):
    """What is not correct in it."""
    arguments = [*PARTS[name], "--json", str(file_of(options, name)), "--build", str(options.build)]
    print(f"\n== tools/bench {' '.join(PARTS[name])}", flush=True)
    try:
        return run_one(arguments + ["--quick"] * options.quick + ["--keep"] * options.keep)
    except Exception:  # whatever it was: the other parts have their figures to give
        traceback.print_exc()
        return ["failed"]


def targets(options, name):
    """Its figures that have a target."""
    file = file_of(options, name)
    if not file.exists():
        return []
    figures = [Figure(**figure) for figure in json.loads(file.read_text())["figures"]]
    return [figure for figure in figures if figure.met is not None]


def report(options, problems):
    made = Report("targets, part by part", ("spread, or without", "figure"))
    for name in PARTS:
        for figure in targets(options, name):
            figure.name = f"{name}: {figure.name}"
            made.figures.append(figure)
    made.notes += [f"NOT CORRECT: {problem}" for problem in problems]
    return made


def run(options, run_one):
    """`run_one(arguments)` runs a bench and returns what is not correct, as this does."""
    options.into.mkdir(parents=True, exist_ok=True)
    free_gb = shutil.disk_usage(options.into).free / 1e9
    if free_gb < DISK_GB and not options.quick:
        sys.exit(f"all benches need {DISK_GB} GB of the disk, and {options.into} has {free_gb:.0f}: "
                 "make room, or say --quick")
    for name in PARTS:
        file_of(options, name).unlink(missing_ok=True)
    problems = [f"{name}: {problem}" for name in PARTS
                for problem in run_part(options, name, run_one)]
    made = report(options, problems)
    made.print()
    made.write(options.into / "targets.json")
    return problems
