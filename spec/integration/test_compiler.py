"""Where the system refuses to make memory executable, scripts run interpreted. Needs no server."""
import ctypes
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1  # prctl(2), since Linux 6.3
LIBC = ctypes.CDLL(None)


def refuse_execution():
    """As MemoryDenyWriteExecute= of systemd does, for this process and those it starts."""
    if LIBC.prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
        os._exit(77)


@pytest.mark.parametrize("compile_scripts", ["true", "false"])
def test_scripts_run_interpreted_where_no_code_can_be_made(build, compile_scripts):
    done = subprocess.run([build / "aggregator", "test", "spec/unit/lib"],
                          cwd=ROOT, preexec_fn=refuse_execution, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True,
                          env=dict(os.environ, AGGREGATOR_SCRIPTS_COMPILE=compile_scripts))
    if done.returncode == 77:
        pytest.skip("the kernel is older than 6.3")
    assert done.returncode == 0, done.stdout
    refused = done.stdout.count("scripts run interpreted: the system refuses")
    assert refused == (1 if compile_scripts == "true" else 0)
