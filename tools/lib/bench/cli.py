"""The command line: a bench a word. Each has `add_options(parser)` and `run(options, folder,
cleanup)`, which prints its figures and returns what is not correct."""
import argparse
import contextlib
import os
import pathlib
import shutil
import sys
import tempfile

import stack

from . import batches, drain, flame, footprint, fresh, http, reload, settings

BENCHES = {"drain": drain, "fresh": fresh, "http": http, "footprint": footprint, "reload": reload,
           "settings": settings, "batches": batches, "flame": flame}


def parse(arguments):
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__)
    words = parser.add_subparsers(dest="bench", required=True, metavar="BENCH")
    for name, bench in BENCHES.items():
        first_line = bench.__doc__.splitlines()[0]
        own = words.add_parser(name, help=first_line, description=bench.__doc__,
                               formatter_class=argparse.RawDescriptionHelpFormatter)
        bench.add_options(own)
        own.add_argument("--build", type=pathlib.Path, default=stack.ROOT / "build",
                         help="folder of the built program (default: build)")
        own.add_argument("--keep", action="store_true", help="keep the logs in any case")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    options.build = options.build.resolve()
    parent = stack.ROOT / ".test"
    parent.mkdir(exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"bench-{options.bench}-", dir=parent))
    problems = ["interrupted"]
    try:
        with contextlib.ExitStack() as cleanup:
            problems = BENCHES[options.bench].run(options, folder, cleanup)
    finally:
        if problems or options.keep:
            print(f"logs are kept in {os.path.relpath(folder)}")
        else:
            shutil.rmtree(folder)
    sys.exit(1 if problems else 0)
