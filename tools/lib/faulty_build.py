"""A build whose processes end or freeze at fault points (host/base/fault.h)."""
import fcntl
import os
import subprocess

from stack import ROOT

TARGETS = "aggregator apply feed mock_kafka"


def make():
    """Its folder. Of several test processes one makes it."""
    folder = ROOT / "build-faults"
    folder.mkdir(exist_ok=True)
    with open(folder / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["tools/lib/build.sh", "build-faults", "-DFAULTS=ON"], cwd=ROOT, check=True,
                       env=os.environ | {"TARGETS": TARGETS})
    return folder
