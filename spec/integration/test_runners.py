"""The runners of C tests and of the model checker (spec/c/explore_cache.c): what they did not run to
the end, or do not know, is no success."""
import subprocess

import pytest

from stack import ROOT

EXPLORE = ROOT / "build/explore_cache"  # is not built with the sanitizers


def run(program, *options):
    if not program.exists():
        pytest.skip(f"{program} is not built")
    return subprocess.run([program, *options], capture_output=True, text=True)


def explore(*options):
    return run(EXPLORE, *options)


def test_a_case_that_a_c_test_does_not_have_is_a_usage_error(build):
    ended = run(build / "test_ascii", "nosuch")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "no case has such a name; there are:" in ended.stderr


def test_a_scenario_that_the_time_limit_ends_fails():
    ended = explore("--only", "two commits and requests", "--seconds", "0")
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (1, "0 passed, 1 failed")
    assert "not complete" in ended.stdout


def test_a_covered_guard_that_was_not_searched_to_the_end_fails():
    ended = explore("--mutation", "NO_NUMBER_CHECK", "--seconds", "0")
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (1, "0 passed, 1 failed")


@pytest.mark.parametrize("options", [
    ["--sconds", "1"], ["--seconds", "soon"], ["--seconds"], ["--only", "nosuch"],
    ["--mutation", "BOGUS"],
], ids=" ".join)
def test_what_it_does_not_know_is_a_usage_error(options):
    ended = explore(*options)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "usage:" in ended.stderr
