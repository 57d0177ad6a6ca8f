"""The command line: one subcommand a benchmark; without one all run. Each has `add_options(parser)` and
`run(options, folder, cleanup)`, which prints its figures and returns the problems. Those that run
others have `run(options, run_one)`."""
import argparse
import pathlib
import sys

import stack
from run_folder import run_in_folder

from . import (against, batches, beside, capacity, citus, drain, every, failover, flame, footprint, fresh, growth,
               handling, http, lists, live, many, peer, plot, poolers, reactions, reload, retention, rows, scale, settings, stopped)

BENCHES = {"drain": drain, "handling": handling, "peer": peer, "rows": rows, "scale": scale, "growth": growth,
           "stopped": stopped, "fresh": fresh, "beside": beside, "http": http, "lists": lists,
           "footprint": footprint, "reactions": reactions, "live": live, "reload": reload, "retention": retention,
           "settings": settings, "batches": batches, "capacity": capacity, "poolers": poolers, "many": many,
           "failover": failover, "citus": citus, "flame": flame, "plot": plot}
COMPOSED = {"all": every, "against": against}


def add_word(words, name, bench):
    own = words.add_parser(name, help=bench.__doc__.splitlines()[0], description=bench.__doc__,
                           formatter_class=argparse.RawDescriptionHelpFormatter)
    bench.add_options(own)
    if bench is not every:  # which has a file for each of its parts
        own.add_argument("--json", type=pathlib.Path, metavar="FILE",
                         help="write the figures into this file too")
    own.add_argument("--build", type=pathlib.Path, default=stack.ROOT / "build",
                     help="folder of the built program (default: build)")
    own.add_argument("--tree", type=pathlib.Path, default=stack.ROOT,
                     help="checkout whose program, built in its folder build, is measured (default: "
                          "this one)")
    own.add_argument("--keep", action="store_true", help="keeps the logs in any case")


def parse(arguments):
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__)
    words = parser.add_subparsers(dest="bench", required=True, metavar="BENCH")
    for name, bench in {**BENCHES, **COMPOSED}.items():
        add_word(words, name, bench)
    options = parser.parse_args(arguments)
    options.build, options.tree = options.build.resolve(), options.tree.resolve()
    return options


def run_one(options):
    """Between servers of its own; the logs are kept where something is not correct."""
    bench = BENCHES[options.bench]
    return run_in_folder(f"bench-{options.bench}", lambda *made: bench.run(options, *made), options.keep)


def main(arguments):
    """Without a word, or with options only: all of them."""
    word = arguments[:1]
    is_all = not word or (word[0].startswith("--") and word[0] != "--help")
    options = parse(["all", *arguments] if is_all else arguments)
    if options.bench in COMPOSED:
        problems = COMPOSED[options.bench].run(options, lambda part: run_one(parse(part)))
    else:
        problems = run_one(options)
    sys.exit(1 if problems else 0)
