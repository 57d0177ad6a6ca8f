#!/usr/bin/python3
"""links: checks that every relative link of a page names a file of the tree and its anchor a heading; so
does every path of a source file that stands in backticks. The tutorial's files are yet to be made.
A text of two words or more in backticks on an operator's page must stand in a string of a source: pages
quote log lines and reasons, whose words change. Commands and texts of other
programs begin with one of OTHERS.

Prints each that does not, as PAGE: TARGET, and exits with 1."""
import pathlib
import re
import subprocess
import sys

SOURCE = re.compile(r"`((?:host|bindings|spec|tools|docs)/[a-z0-9_./]+\.[a-z]+)`")
WITHOUT_SOURCES = {"docs/TUTORIAL.md"}
QUOTED = re.compile(r"`([A-Za-z][a-z]*(?: [A-Za-z'-]+)+)[:,.]?(?: …)?`")
OTHERS = ("aggregator", "dpkg", "journalctl", "systemctl", "check", "new", "outbox", "rejected", "reload", "test",
          "explain", "try", "SCRIPT", "Inconsistent", "sentinel")
STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")


def without_code(text):
    return re.sub(r"^```.*?^```|^    .*?$|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(page):
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page):
    for target, anchor in LINK.findall(without_code(page.read_text())):
        file = page.parent / target if target else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            yield f"{target}#{anchor}" if anchor else target


def missing_sources(page):
    names = SOURCE.findall(page.read_text()) if str(page) not in WITHOUT_SOURCES else []
    return [name for name in names if not pathlib.Path(name).exists()]


def strings_of_sources():
    """The strings of C and Lua sources, those that C joins as one."""
    files = subprocess.run(["git", "ls-files", "host/*.[ch]", "host/*.lua", "bindings/*.[ch]", "scripts"],
                           capture_output=True, text=True, check=True).stdout.split()
    text = "\n".join(pathlib.Path(file).read_text() for file in files if pathlib.Path(file).exists())
    return "\n".join(STRING.findall(re.sub(r'"\s*\n\s*"', "", text)))


def missing_quotes(page, strings):
    quotes = QUOTED.findall(page.read_text()) if page.parts[:2] == ("docs", "operate") else []
    return [quote for quote in quotes if quote.split()[0] not in OTHERS and quote not in strings]


def main():
    pages = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"],
                           capture_output=True, text=True, check=True).stdout.split()
    strings = strings_of_sources()
    broken = [f"{page}: {link}" for page in map(pathlib.Path, pages) if page.exists()
              for link in [*broken_links(page), *missing_sources(page), *missing_quotes(page, strings)]]
    print(*broken, sep="\n", end="\n" if broken else "")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
