#!/usr/bin/python3
"""tidy: clang-tidy over the program and its tools, by build/compile_commands.json; .clang-tidy says which
checks. Nearly all its time goes into the analyzer, which follows a quarter of the paths that it would by
default: `tidy.py --deep` follows all of them, in three times the time. A file is skipped that passed before,
in .test/tidy, with the same preprocessed text, command, checks and clang-tidy.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PASSED = ROOT / ".test/tidy"  # an empty file for each digest
FEWER_PATHS = "-analyzer-config", "max-nodes=60000"  # of a function; the analyzer's default is 225000


def text_of(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, **options).stdout


def tidy_command(deep):
    words = [] if deep else [f"-extra-arg={word}" for option in FEWER_PATHS for word in ("-Xclang", option)]
    return ["clang-tidy", "-quiet", "-p", "build", *words]


def digest(entry, tool):
    """Of all that clang-tidy reads. Comments and macros belong to it: NOLINT, and checks of #define."""
    command = [word for word in shlex.split(entry["command"]) if word != "ccache"]
    output = command.index("-o")
    text = text_of(*command[:output], "-E", "-CC", "-dD", *command[output + 2:], cwd=entry["directory"])
    return hashlib.sha256(tool + entry["command"].encode() + text).hexdigest()


def check(entry, command, tool):
    """(digest, whether clang-tidy ran, what it found or "")"""
    name = digest(entry, tool)
    if (PASSED / name).exists():
        return name, False, ""
    ran = subprocess.run([*command, entry["file"]], cwd=ROOT, text=True, capture_output=True, check=False)
    if ran.returncode == 0:
        (PASSED / name).touch()
    return name, True, "" if ran.returncode == 0 else ran.stdout or ran.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deep", action="store_true", help="the analyzer follows all paths of its default")
    command = tidy_command(parser.parse_args().deep)
    PASSED.mkdir(parents=True, exist_ok=True)
    tool = (ROOT / ".clang-tidy").read_bytes() + text_of("clang-tidy", "--version") + " ".join(command).encode()
    entries = [entry for entry in json.loads((ROOT / "build/compile_commands.json").read_text())
               if re.match(rf"{re.escape(str(ROOT))}/(host|bindings|tools)/", entry["file"])]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda entry: check(entry, command, tool), entries))
    for stale in {path.name for path in PASSED.iterdir()} - {name for name, _, _ in results}:
        (PASSED / stale).unlink()
    found = [text for _, _, text in results if text]
    print("".join(found).replace(f"{ROOT}/", ""), end="")
    print(f"{len(results)} files, {sum(ran for _, ran, _ in results)} of them analysed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
