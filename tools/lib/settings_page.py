#!/usr/bin/env python3
"""Writes docs/operate/settings.md from `aggregator config --json`, which prints host/config/fields.c.

    tools/lib/settings_page.py BUILD >docs/operate/settings.md

spec/integration/test_config.py compares them."""
import itertools
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
INTRO = """# Settings

    aggregator config                  # every setting, its value, and where that comes from
    aggregator config http.port        # one: description, default, range, variable

Each setting can be set in a file and by its variable: `http.port` by `AGGREGATOR_HTTP_PORT`, or `AGGREGATOR_HTTP_PORT_FILE` for a file
that holds the value. [Configure](configure.md) describes the layers. The column *platform* has the variables that the service's
`config.lua` reads. A changed setting is applied by a `reload` or a `restart`, as the last column says.

Lists are separated by commas in a variable, or a JSON list; maps are `name=value, name=value`, or a JSON object.
"""


def platform_variables():
    """Of each setting the names that config.lua reads on its line."""
    found, section = {}, None
    text = (ROOT / "config.lua").read_text()
    for line in text[text.index("\nreturn {"):].splitlines():
        opened = re.match(r"  (\w+) = \{", line)
        section = opened[1] if opened else section
        key = re.search(r"(?:^    |\{ )(\w+) = (.*)", line)
        if key:
            last = f"{section}.{key[1]}"
        names = re.findall(r'env(?:_or_file)?\("(\w+)"', line)
        if names:
            found.setdefault(last, []).extend(names)
    found["postgres.url"] = ["RESULT_AGGREGATOR_SERVICE_DATABASE_URL", "SERVICE_DATABASE_URL",
                             "DATABASE_URL"]
    return found


def default_text(setting):
    value = setting["default"]
    text = "none" if value in ("", [], {}) else f"`{json.dumps(value)}`".replace('"', "")
    if "min" in setting:
        text += f", {setting['min']} to {setting['max']}"
    elif "words" in setting:
        text += ", of " + " ".join(f"`{word}`" for word in setting["words"].split())
    return text


def page(build):
    done = subprocess.run([pathlib.Path(build) / "aggregator", "config", "--json", "--config",
                           ROOT / "config.lua"], check=True, capture_output=True, text=True)
    platform = platform_variables()
    lines = [INTRO]
    settings = json.loads(done.stdout)["settings"]
    for section, group in itertools.groupby(settings, lambda one: one["key"].split(".")[0]):
        lines += [f"## {section}\n", "| setting | what it is | default, range | platform | change |",
                  "| --- | --- | --- | --- | --- |"]
        for setting in group:
            names = ", ".join(f"`{name}`" for name in platform.get(setting["key"], []))
            description = setting["description"].replace("|", "\\|")
            lines.append(f"| `{setting['key']}` | {description} | {default_text(setting)} | "
                         f"{names} | {setting['change']} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(page(sys.argv[1]))
