#!/usr/bin/python3
"""pages: writes the manual page and the completions of bash, fish and zsh into a folder.

    packaging/pages.py build/aggregator build/pages
"""
import json
import pathlib
import subprocess
import sys

import completions
import manual


def main(program, folder):
    said = subprocess.run([program, "help", "--json"], check=True, stdout=subprocess.PIPE).stdout
    table = json.loads(said)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "aggregator.1").write_text(manual.page(table), encoding="utf-8")
    for shell, write in completions.SHELLS.items():
        (folder / f"completion.{shell}").write_text(write(table), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
