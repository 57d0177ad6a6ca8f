"""CPU of an event between Kafka and Postgres, without either.

tools/handling.c hands the records of a file to the ingest pipeline, batch by batch: they are read,
handled by the scripts, merged, and encoded as the parameters of upserts. Nothing is sent."""
import json
import os
import subprocess
import uuid

from . import streams
from .report import Report
from .servers import program_build

STREAMS = ("spell", "lifecycle")
COMPUTING = {  # a service with one handler, which adds 10,000 numbers
    "config.lua": 'return { scripts = { root = "scripts", sql = "sql" }, '
                  'postgres = { url = "postgresql:///none" }, kafka = { brokers = "none:9092" } }',
    "scripts/envelope.lua": 'return { id = "event_id", time = "event_timestamp", '
                            'correlation_id = "correlation_id", fields = {} }',
    "scripts/view.lua": 'return { { name = "sums", key = { { "id", "text" } }, groups = { { '
                        'name = "sum", rule = "latest", columns = { { "total", "double" } } } } } }',
    "scripts/handlers/sum.lua": """
local list = {}
for i = 1, 10000 do list[i] = i / 3 end
return { topics = { "sums" }, fields = { id = "data.id" }, handle = function(event, view)
  local total = 0
  for i = 1, #list do total = total + list[i] end
  view.sums:merge(event.id, "sum", { total = total })
end }
"""}


def add_options(parser):
    parser.add_argument("--events", type=int, default=400000, help="of a run")
    parser.add_argument("--records", type=int, default=50000, help="of the file")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="20,000 records, two runs of 40,000")


def once(options, config, records, events, **environment):
    """Microseconds of its CPU for each event: [until it is merged, to encode it, to extract
    it]; then traces and KiB of compiled code, where the tree has them. And the places that LuaJIT
    gave up, as `handling` prints them."""
    done = subprocess.run([program_build(options) / "handling", config, records, str(events)],
                          check=True, stdout=subprocess.PIPE, text=True,
                          env={**os.environ, **environment})
    figures, *aborts = done.stdout.splitlines()
    return [float(figure) for figure in figures.split()], aborts


def write_computing(folder):
    for name, text in COMPUTING.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "sql/queries").mkdir(parents=True)
    event = {"event_timestamp": "2026-02-01T08:00:00Z", "data": {"id": "one"}}
    lines = [{"topic": "sums", "value": {**event, "event_id": str(uuid.uuid4()),
                                         "correlation_id": str(uuid.uuid4())}} for _ in range(500)]
    (folder / "1.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def run_computing(options, folder, report):
    """The handler that computes, compiled and interpreted in turn, where the tree can compile."""
    if not (options.tree / "host/script/compiler.c").exists():
        return
    write_computing(folder)
    for word, switch in (("compiled", "true"), ("interpreted", "false")):
        runs = [once(options, folder / "config.lua", folder / "1.jsonl", 2000,
                     AGGREGATOR_SCRIPTS_COMPILE=switch)[0] for _ in range(options.runs)]
        report.median(f"10,000 additions, {word}", [run[0] for run in runs], "µs an event")


def run(options, folder, _):
    if options.quick:
        options.records, options.events, options.runs = 20000, 40000, 2
    report = Report(f"{options.events:,} events of a file of {options.records:,}, "
                    f"{options.runs} runs", ("runs", "median"))
    aborts = {}
    for name in STREAMS:
        streams.STREAMS[name](folder, options.records)
        runs = [once(options, options.tree / "config.lua", folder / "1.jsonl", options.events)
                for _ in range(options.runs)]
        aborts[name] = runs[-1][1]
        runs = [figures for figures, _ in runs]
        report.median(f"{name}: read, handled, merged", [run[0] for run in runs], "µs an event")
        if len(runs[0]) > 2:  # the program of an older commit does not tell
            report.median(f"{name}: of these, extracted", [run[2] for run in runs], "µs an event")
        report.median(f"{name}: encoded", [run[1] for run in runs], "µs an event")
        for figure, unit in zip(zip(*(run[3:] for run in runs)), ("traces", "KiB of code")):
            report.median(f"{name}: compiled", figure, unit)
    run_computing(options, folder / "computing", report)
    report.print()
    for name, lines in aborts.items():
        print(f"{name}: not compiled, in the last run: " + ("; ".join(lines) or "nothing"))
    if options.json:
        report.write(options.json)
    return report.problems()
