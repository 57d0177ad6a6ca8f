"""Compares the results of a run under load with the targets."""
import statistics

from crashtest import verify

from . import commits, generations
from .report import Report, percentile

RELOAD_TARGET_MS = 100
PAUSE_TARGET_MS = 5
P99_TARGET_RATIO = 1.2
MEMORY_TARGET_RATIO = 1.1
MORE_DESCRIPTORS = 8  # connections of states that met by chance
MARKS_SQL = "SELECT spellcheck_corrected_text_storage_id, count(*) FROM essay_results GROUP BY 1"


def judge_events(report, run, ends):
    held = verify.offsets(run.url)
    counted = {place: sum(held[place][1].values()) if place in held else 0 for place in ends}
    report.none("events lost", sum(max(0, end - counted[place]) for place, end in ends.items()))
    report.none("events counted twice",
                sum(max(0, counted[place] - end) for place, end in ends.items()))
    report.none("events rejected, ignored or taken for duplicates",
                sum(counts[what] for _, counts in held.values()
                    for what in ("rejected", "ignored", "duplicate")))


def judge_rows(report, run):
    rows = dict(verify.query(run.url, MARKS_SQL))
    whole = [generations.row_mark(mark) for mark in generations.MARKS]
    report.none("rows missing, or too many", abs(sum(rows.values()) - run.backlog.stream.essays))
    report.none("rows by a mixture of generations",
                sum(count for mark, count in rows.items() if mark not in whole))
    report.none("generations that wrote no row", sum(mark not in rows for mark in whole))


def judge_answers(report, run):
    def total(reloads, *names):
        return sum(phase.queries[name] for phase in run.phases[reloads] for name in names)

    report.add("requests answered", total(True, "good"), without=total(False, "good"))
    report.none("requests that failed",
                total(True, "failed", "broken") + run.reloads.failed_answers,
                total(False, "failed", "broken"))
    report.none("answers by a mixture of generations", total(True, "mixed"), total(False, "mixed"))
    report.none("answers by the old scripts after a reload", run.reloads.old_answers)


def judge_queries(report, run):
    def median(reloads, of):
        return statistics.median(of(phase) for phase in run.phases[reloads])

    for name, key, most_ratio in (("p50", "p50_ms", None), ("p99", "p99_ms", P99_TARGET_RATIO),
                                  ("p99.9", "p999_ms", None)):
        of = lambda phase, key=key: phase.queries[key]
        report.compare(f"queries, {name}", median(True, of), "ms", median(False, of), most_ratio)
    for name in ("queries", "events"):
        of = lambda phase, name=name: getattr(phase, f"{name}_per_second")
        report.compare(f"{name} a second", median(True, of), "", median(False, of))


def judge_pauses(report, run):
    gaps = commits.gaps(run.url, run.servers.kafka.partitions)
    reloads = [(reload.sent_at, reload.answered_at) for reload in run.reloads.done]
    quiet = [(phase.began_at, phase.ended_at) for phase in run.phases[False]]
    report.compare("longest time between two commits of a worker",
                   commits.longest_ms(gaps, reloads), "ms", commits.longest_ms(gaps, quiet))
    pauses = run.pauses_ms()
    report.add("pause of a worker by a reload, median", statistics.median(pauses), "ms")
    report.at_most("pause of a worker by a reload, longest", max(pauses), "ms", PAUSE_TARGET_MS)


def judge_reloads(report, reloads):
    """From the command to the last worker, as the program says; and to its answer, seen from
    outside: by then the last request of the old scripts has been answered."""
    said = [reload.took_ms for reload in reloads.done]
    seen = [reload.outside_ms for reload in reloads.done]
    report.add("reload, to the last worker, median", statistics.median(said), "ms")
    report.at_most("reload, to the last worker, p99", percentile(said, 99), "ms", RELOAD_TARGET_MS)
    report.at_most("reload, to the last worker, longest", max(said), "ms", RELOAD_TARGET_MS)
    report.add("reload, to its answer, median", statistics.median(seen), "ms")
    report.add("reload, to its answer, longest", max(seen), "ms")
    report.add("workers later than five seconds", reloads.late_workers)


def judge_held(report, before, after):
    report.compare("resident memory, in the end and before", after.memory_mb, "MB",
                   before.memory_mb, MEMORY_TARGET_RATIO)
    most = before.descriptors + MORE_DESCRIPTORS
    report.add("descriptors, in the end and before", after.descriptors, without=before.descriptors,
               target=f"≤ {most}", met=after.descriptors <= most)


def report(run, ends):
    made = Report(f"{len(run.reloads.done)} reloads under load, {run.pairs} times "
                  f"{run.phase_seconds} s with and without; medians of the phases",
                  ("without", "with reloads"))
    judge_events(made, run, ends)
    judge_rows(made, run)
    judge_answers(made, run)
    judge_reloads(made, run.reloads)
    judge_pauses(made, run)
    judge_queries(made, run)
    judge_held(made, run.held[0], run.held[-1])
    made.add("events left of the backlog, at least", run.least_backlog)
    made.notes += [phase.queries["example"] for phases in run.phases.values() for phase in phases
                   if phase.queries["example"]]
    made.notes += [run.reloads.example] if run.reloads.example else []
    if run.least_backlog <= 0:
        made.notes.append("the backlog ran dry: ingestion was not under full load all the time")
    return made
