"""Runs generated programs compiled and interpreted, one seed after the other, and stops at the first
program that differs. See tools/soak and spec/fuzz/programs.h."""
import argparse
import os
import subprocess
import sys
import time


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="tools/soak compiled", description="Compares generated programs, compiled and "
        "interpreted, until the time is over or one differs.")
    parser.add_argument("--minutes", type=float, default=1,
                        help="no seed begins after this (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1000, help="the first one; programs of even "
                        "seeds are compiled at the second turn (default: %(default)s)")
    parser.add_argument("--programs", type=int, default=2000,
                        help="of each seed (default: %(default)s)")
    parser.add_argument("--build", default="build",
                        help="folder of the built program (default: %(default)s)")
    return parser.parse_args(arguments)


def run_seed(options, seed):
    """The output of a seed whose programs differ, or that ended the process; None: they do not."""
    done = subprocess.run(
        [f"{options.build}/test_compiled"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", check=False,
        env=dict(os.environ, PROGRAMS=str(options.programs), SEED=str(seed)))
    return None if done.returncode == 0 else f"exit status {done.returncode}\n{done.stdout}"


def main():
    options = parse(sys.argv[2:])
    seed, end_s = options.seed, time.monotonic() + options.minutes * 60
    while time.monotonic() < end_s:
        began_s = time.monotonic()
        problem = run_seed(options, seed)
        if problem:
            print(problem)
            sys.exit(f"seed {seed} differs: PROGRAMS={options.programs} SEED={seed} "
                     f"{options.build}/test_compiled")
        seed += 1
        print(f"seed {seed - 1}: {options.programs} programs are the same, "
              f"{time.monotonic() - began_s:.0f} s", flush=True)
    total = (seed - options.seed) * options.programs
    print(f"{total} programs of seeds {options.seed} to {seed - 1} are the same; "
          f"go on with --seed {seed}")
