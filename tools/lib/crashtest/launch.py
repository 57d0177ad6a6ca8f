"""Runs a test in a folder of its own. The last line and the exit status are for tools/test."""
import sys

from run_folder import run_in_folder


def launch(name, options, run):
    """run(options, folder, cleanup) returns the problems found. Does not return."""
    problems = run_in_folder(f"{name}-{options.seed}", lambda *made: run(options, *made), options.keep)
    print(f"{0 if problems else 1} passed, {1 if problems else 0} failed")
    sys.exit(1 if problems else 0)
