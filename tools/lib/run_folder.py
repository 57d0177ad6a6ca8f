"""A folder below .test for a run with servers of its own; it is kept where the run fails."""
import contextlib
import os
import pathlib
import shutil
import sys
import tempfile

import stack


def run_in_folder(prefix, run, keep=False):
    """The problems that run(folder, cleanup) finds. The folder is kept, and named, if there are some, if
    run() raises, or to keep it."""
    parent = stack.ROOT / ".test"
    parent.mkdir(exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=parent))
    problems = ["interrupted"]
    try:
        with contextlib.ExitStack() as cleanup:
            problems = run(folder, cleanup)
    finally:
        if problems or keep:
            print(f"logs are kept in {os.path.relpath(folder)}", file=sys.stderr)
        else:
            shutil.rmtree(folder)
    return problems
