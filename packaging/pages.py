#!/usr/bin/python3
"""pages: writes the manual pages and the completions of bash, fish and zsh into a folder.

    packaging/pages.py build/aggregator build/pages
"""
import json
import pathlib
import subprocess
import sys

import completions
import manual

ROOT = pathlib.Path(__file__).resolve().parents[1]


def main(program, folder):
    def ask(*words):  # without variables of this machine
        return json.loads(subprocess.run([program, *words], check=True, stdout=subprocess.PIPE,
                                         env={}).stdout)

    table = ask("help", "--json")
    settings = ask("config", "--json", "--config", ROOT / "config.lua")["settings"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "aggregator.1").write_text(manual.page(table), encoding="utf-8")
    (folder / "aggregator-config.5").write_text(manual.settings_page(table, settings),
                                                encoding="utf-8")
    for shell, write in completions.SHELLS.items():
        (folder / f"completion.{shell}").write_text(write(table), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
