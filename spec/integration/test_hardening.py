"""The hardening options of the build."""
import subprocess

import pytest


def read_elf(build, *options):
    return subprocess.run(["readelf", "--wide", *options, build / "aggregator"], check=True,
                          capture_output=True, text=True).stdout


@pytest.mark.parametrize("what, options, said", [
    ("it is loaded at a random address", ("--file-header",), "DYN (Position-Independent Executable"),
    ("no function is looked up after the start", ("--dynamic",), "BIND_NOW"),
    ("its tables cannot be written then", ("--program-headers",), "GNU_RELRO"),
    ("functions look at a canary", ("--dyn-syms",), "__stack_chk_fail")])
def test_the_program_is_hardened(build, what, options, said):
    assert said in read_elf(build, *options), f"not so: {what}"


def test_jumps_have_landing_places(build):
    code = subprocess.run(["objdump", "--disassemble=main", build / "aggregator"], check=True,
                          capture_output=True, text=True).stdout
    assert "endbr64" in code


def test_the_stack_is_not_executable(build):
    line, = [line for line in read_elf(build, "--program-headers").splitlines()
             if "GNU_STACK" in line]
    assert " E " not in line and "RWE" not in line


def test_copies_of_a_release_are_bounded(build):
    if "asan" in build.name or "tsan" in build.name:
        pytest.skip("sanitizers bound them themselves")
    assert "__memcpy_chk" in read_elf(build, "--dyn-syms") or \
        "__snprintf_chk" in read_elf(build, "--dyn-syms")
