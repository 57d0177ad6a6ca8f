"""Reloads one after the other without load: leaks add up."""
from soak import samples

from . import judge, stream
from .reloads import Reloads
from .report import Report
from .servers import Servers

SAMPLES = 10
WARM_RELOADS = 100  # then all is there that ever is, and the heap has its size


def start(options, folder, cleanup, scripts):
    servers = Servers(options, folder, cleanup, redis=True)
    program, url = servers.program("ras_bench", {"INGEST_WORKERS": "2", **scripts.env})
    stream.begin(servers, program, url)
    return program


def show(done, held):
    print(f"{done:7} reloads: {held.memory_mb:.1f} MB resident, {held.descriptors} descriptors, "
          f"{held.threads} threads", flush=True)


def run(options, folder, cleanup, scripts):
    program = start(options, folder, cleanup, scripts)
    reloads = Reloads(program, scripts, stream.paths())
    for _ in range(WARM_RELOADS):
        reloads.once()
    reloads.done.clear()
    held = [samples.take(program)]
    show(0, held[0])
    for number in range(1, options.reloads + 1):
        reloads.once()
        if number * SAMPLES // options.reloads > len(held) - 1:
            held.append(samples.take(program))
            show(number, held[-1])
    report = Report(f"{options.reloads} reloads without load", ("before", "in the end"))
    report.none("requests that failed", reloads.failed_answers)
    report.none("answers by the old scripts after a reload", reloads.old_answers)
    judge.judge_reloads(report, reloads)
    judge.judge_held(report, held[0], held[-1])
    return report
