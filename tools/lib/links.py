#!/usr/bin/python3
"""links: checks that every relative link of a page names a file of the tree and its anchor a heading; so
does every path of a source file that stands in backticks. The tutorial's files are yet to be made.

Prints each that does not, as PAGE: TARGET, and exits with 1."""
import pathlib
import re
import subprocess
import sys

SOURCE = re.compile(r"`((?:host|bindings|spec|tools|docs)/[a-z0-9_./]+\.[a-z]+)`")
WITHOUT_SOURCES = {"docs/TUTORIAL.md"}
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


def main():
    pages = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"],
                           capture_output=True, text=True, check=True).stdout.split()
    broken = [f"{page}: {link}" for page in map(pathlib.Path, pages) if page.exists()
              for link in [*broken_links(page), *missing_sources(page)]]
    print(*broken, sep="\n", end="\n" if broken else "")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
