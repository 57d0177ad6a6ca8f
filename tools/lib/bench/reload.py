"""Cost of reloads under full load, and a check that nothing is lost.

Two generations of scripts, whose difference shows in every row and answer, take turns while two
ingest workers have a backlog that does not run dry and 16 connections ask for batches, each again
as soon as it is answered. Phases without reloads and phases with them take turns, too. Exits with 1
where an event is lost or counted twice, a request fails, or a mixture of generations shows; a
target of time or memory that is missed is only said.

    tools/bench reload                            100 reloads, about six minutes
    tools/bench reload --quick                    10 of them, about a minute
    tools/bench reload --reloads 10000 --no-load  one after the other: what they leave behind"""

from . import idle, loaded
from .generations import Generations


def add_options(parser):
    parser.add_argument("--reloads", type=int, help="how many (default: 100)")
    parser.add_argument("--seconds", type=int,
                        help="how long the phases with reloads are, together, and those without "
                        "(default: 100)")
    parser.add_argument("--quick", action="store_true", help="the defaults are 10, and 20 seconds")
    parser.add_argument("--no-load", action="store_true",
                        help="no events and no queries; as fast as they go")


def run(options, folder, cleanup):
    options.reloads = options.reloads or (10 if options.quick else 100)
    options.seconds = options.seconds or (20 if options.quick else 100)
    scripts = Generations(folder / "scripts")
    bench = idle if options.no_load else loaded
    report = bench.run(options, folder, cleanup, scripts)
    report.print()
    if options.json:
        report.write(options.json, reloads=options.reloads)
    return report.problems()
