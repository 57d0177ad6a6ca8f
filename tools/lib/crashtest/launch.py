"""Runs a test in a folder of its own, which is kept on failure. The last line and the exit status are
for tools/test."""
import contextlib
import os
import pathlib
import shutil
import sys
import tempfile

import stack


def launch(name, options, run):
    """run(options, folder, cleanup) returns the problems found. Does not return."""
    parent = stack.ROOT / ".test"
    parent.mkdir(exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-{options.seed}-", dir=parent))
    problems = ["interrupted"]
    try:
        with contextlib.ExitStack() as cleanup:
            problems = run(options, folder, cleanup)
    finally:
        if problems or options.keep:
            print(f"logs and dumps are kept in {os.path.relpath(folder)}")
        else:
            shutil.rmtree(folder)
    print(f"{0 if problems else 1} passed, {1 if problems else 0} failed")
    sys.exit(1 if problems else 0)
