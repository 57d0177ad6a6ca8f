"""The figures of an earlier commit beside those of this tree.

Checks the commit out below the build folder and builds it there. Then runs each part with the
program of the commit and with that of this tree in turn, several times, on servers of their own:
load, streams and measurement are this tree's, so that only the program, its scripts and its SQL
differ. Prints for each figure the medians, and the median, least and most of the ratios of pairs.
Parts are other benchmarks, as --part "drain --stream hot --events 100000".

The other load of a machine changes from minute to minute, and a pair has most of it in common: trust
ratios, and of them those of CPU first."""
import contextlib
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys

import stack

from .report import Report, show

PARTS = {"handling": "handling --runs 1",
         "spell": "drain --stream spell --alone --runs 1 --events 300000",
         "lifecycle": "drain --stream lifecycle --alone --runs 1 --events 200000",
         "spell, two workers": "drain --stream spell --workers 2 --alone --runs 1 --events 300000",
         "beside": "beside --seconds 20", "footprint": "footprint --starts 3"}
TARGETS = "aggregator handling"  # of the commit


def add_options(parser):
    parser.add_argument("commit", metavar="REV", help="a commit, as git names it")
    parser.add_argument("--part", action="append", dest="parts", metavar="BENCH",
                        help="a benchmark and its options; repeat it for more (default: "
                             f"{'; '.join(PARTS.values())})")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="each part with its --quick, one pair")


def git(*arguments):
    done = subprocess.run(["git", *arguments], cwd=stack.ROOT, capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        sys.exit(f"bench against: git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def checkout(build, name):
    """A built work tree of the commit; an earlier run's is used again."""
    commit = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    tree = build / "against" / commit
    if not (tree / "config.lua").exists():
        git("worktree", "add", "--force", "--force", "--detach", str(tree), commit)
    env = os.environ | {"TARGETS": TARGETS}
    if shutil.which("ccache"):
        env["CMAKE_C_COMPILER_LAUNCHER"] = "ccache"
    print(f"building {commit[:12]} in {os.path.relpath(tree)}", flush=True)
    subprocess.run([tree / "tools/lib/build.sh", "build", "-DCMAKE_BUILD_TYPE=Release"], env=env,
                   check=True)
    return tree


class Side:
    """One of the two programs, and what was measured: {part: [{name and unit: figure} of a run]}."""

    def __init__(self, name, tree):
        self.name, self.tree, self.runs = name, tree, {}

    def measure(self, options, part, run_one):
        """What is not correct."""
        file = options.build / "against" / "figures.json"
        file.unlink(missing_ok=True)
        arguments = [*shlex.split(options.parts[part]), "--tree", str(self.tree), "--build", str(options.build),
                     "--json", str(file)]
        with open(options.build / "against" / "log", "a") as log, contextlib.redirect_stdout(log):
            try:
                problems = run_one(arguments + ["--quick"] * options.quick)
            except Exception as error:  # whatever it was: the other runs have their figures to give
                problems = [f"failed: {error}"]
        figures = json.loads(file.read_text())["figures"] if file.exists() else []
        self.runs.setdefault(part, []).append(
            {f"{figure['name']}, {figure['unit']}": figure for figure in figures})
        return [f"{self.name}: {part}: {problem}" for problem in problems]


def add_part(report, part, old, new):
    """The figures of a part that both sides have, by the pairs of which both ran to their end.
    Counts of faults are none."""
    pairs = [pair for pair in zip(old.runs[part], new.runs[part]) if all(pair)]
    for name, figure in (pairs[0][1] if pairs else {}).items():
        theirs = [run[name]["value"] for run, _ in pairs if name in run]
        ours = [run[name]["value"] for _, run in pairs if name in run]
        if len(theirs) != len(ours) or figure["correctness"] or not all(theirs):
            continue
        ratios = [own / other for own, other in zip(ours, theirs)]
        report.add(f"{part}: {figure['name']}", statistics.median(ours), figure["unit"],
                   without=statistics.median(theirs),
                   target=f"{show(statistics.median(ratios))} "
                          f"({show(min(ratios))} to {show(max(ratios))})")


def judge(options, old, new, problems):
    report = Report(f"in turn, {options.pairs} pairs", (old.name, new.name), "ratio")
    for part in options.parts:
        add_part(report, part, old, new)
    report.notes += [f"NOT CORRECT: {problem}" for problem in problems]
    return report


def run(options, run_one):
    options.parts = {part: part for part in options.parts} if options.parts else PARTS
    options.pairs = 1 if options.quick else options.pairs
    tree = checkout(options.build, options.commit)
    old, new = Side(options.commit, tree), Side("this tree", options.tree)
    problems = []
    for part in options.parts:
        for pair in range(options.pairs):
            print(f"{part}: pair {pair + 1} of {options.pairs}", flush=True)
            for side in (old, new) if pair % 2 == 0 else (new, old):
                problems += side.measure(options, part, run_one)
    report = judge(options, old, new, problems)
    report.print()
    if options.json:
        report.write(options.json, runs={side.name: side.runs for side in (old, new)})
    return problems
