"""CPU of an event between Kafka and Postgres, without either.

tools/handling.c hands the records of a file to the ingest pipeline, batch by batch: they are read,
handled by the scripts, merged, and encoded as the parameters of upserts. Nothing is sent."""
import pathlib
import subprocess

from . import streams
from .report import Report
from .servers import program_build

STREAMS = ("spell", "lifecycle")


def add_options(parser):
    parser.add_argument("--events", type=int, default=400000, help="of a run")
    parser.add_argument("--records", type=int, default=50000, help="of the file")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="20,000 records, two runs of 40,000")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures into this file too")


def once(options, records):
    """Microseconds of its CPU for each event: (until it is merged, to encode it, to extract it)."""
    done = subprocess.run([program_build(options) / "handling", options.tree / "config.lua", records,
                           str(options.events)], check=True, stdout=subprocess.PIPE, text=True)
    return [float(figure) for figure in done.stdout.split()]


def run(options, folder, _):
    if options.quick:
        options.records, options.events, options.runs = 20000, 40000, 2
    report = Report(f"{options.events:,} events of a file of {options.records:,}, "
                    f"{options.runs} runs", ("runs", "median"))
    for name in STREAMS:
        streams.STREAMS[name](folder, options.records)
        runs = [once(options, folder / "1.jsonl") for _ in range(options.runs)]
        report.median(f"{name}: read, handled, merged", [run[0] for run in runs], "µs an event")
        if len(runs[0]) > 2:  # the program of an older commit does not tell
            report.median(f"{name}: of these, extracted", [run[2] for run in runs], "µs an event")
        report.median(f"{name}: encoded", [run[1] for run in runs], "µs an event")
    report.print()
    if options.json:
        report.write(options.json)
    return report.problems()
