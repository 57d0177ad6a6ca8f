"""Stacks that perf sampled: counted, drawn as flame graphs, and by whose own time it is."""
import collections
import re
import subprocess

FLAMEGRAPH = "/usr/share/perl5/Devel/NYTProf/flamegraph.pl"
LEAST_PIXELS = "3"  # that a frame is wide, or it is not drawn: the graph is to stay small
SAMPLE = re.compile(r"(\S.*?)\s+(\d+)/\d+\s*$")
FRAME = re.compile(r"\s+[0-9a-f]+ (.+) \((.*)\)$")


def frame(symbol, library):
    """A function's name, or the library's that does not tell it; _[k] marks the kernel's."""
    if symbol == "[unknown]":
        return f"[{library.rsplit('/', 1)[-1]}]"
    return symbol + ("_[k]" if library.startswith("[") else "")


def collapse(lines):
    """{process id: {"thread;caller;…;callee": samples}}, of what `perf script` prints."""
    found = collections.defaultdict(collections.Counter)
    pid, frames = 0, []
    for line in lines:
        if sample := SAMPLE.match(line):
            pid, frames = int(sample[2]), [sample[1]]
        elif called := FRAME.match(line):
            frames.insert(1, frame(called[1], called[2]))
        elif frames:
            found[pid][";".join(frames)] += 1
            frames = []
    return found


def together(counters):
    return sum(counters, collections.Counter())


def own_time(counts):
    """{function: samples in itself}"""
    found = collections.Counter()
    for stack, count in counts.items():
        found[stack.rsplit(";", 1)[-1]] += count
    return found


def by_thread(counts):
    """{thread's name: samples}"""
    found = collections.Counter()
    for stack, count in counts.items():
        found[stack.split(";", 1)[0]] += count
    return found


def draw(counts, title, path):
    text = "".join(f"{stack} {count}\n" for stack, count in sorted(counts.items()))
    with open(path, "w", encoding="utf-8") as out:
        subprocess.run([FLAMEGRAPH, "--title", title, "--minwidth", LEAST_PIXELS, "--hash"],
                       input=text, text=True, stdout=out, check=True)
