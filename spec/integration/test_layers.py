"""The layers of the program (CMakeLists.txt): the headers that each layer can include."""
import json
import pathlib
import re
import shlex
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def folder_of(layer):
    return ROOT / layer if layer == "bindings" else ROOT / "host" / layer


@pytest.fixture(scope="module")
def sees(build):
    """The layers that each layer names in the build."""
    lines = (build / "layers.txt").read_text().splitlines()
    return {name: below.replace(";", " ").split() for name, below in (line.split(":") for line in lines)}


def reach(sees, layer):
    """The layer and all layers that it sees."""
    found = {layer}
    for below in sees[layer]:
        found |= reach(sees, below)
    return found


def preprocess(build, layer, text):
    """Preprocesses a text as a file of that layer."""
    commands = json.loads((build / "compile_commands.json").read_text())
    of_layer = next(c for c in commands if pathlib.Path(c["file"]).parent == folder_of(layer))
    words = shlex.split(of_layer["command"])
    flags = words[words.index("-D_GNU_SOURCE"):words.index("-o")]
    return subprocess.run(["cc", *flags, "-E", "-P", "-x", "c", "-"], input=text, text=True,
                          capture_output=True, cwd="/")


def test_each_folder_is_a_layer(sees):
    folders = {path.parent for path in ROOT.glob("host/*/*.c")} | {ROOT / "bindings"}
    assert {folder_of(layer) for layer in sees} == folders


def test_a_layer_includes_a_header_of_a_layer_that_it_sees(build, sees):
    assert preprocess(build, "ingest", '#include "pipeline/pipeline.h"\n').returncode == 0


def test_a_header_of_a_layer_above_does_not_compile(build, sees):
    result = preprocess(build, "base", '#include "ingest/ingest.h"\n')
    assert result.returncode != 0
    assert "ingest/ingest.h: No such file" in result.stderr


def test_no_layer_finds_a_header_of_a_layer_that_it_does_not_see(build, sees):
    for layer in sees:
        hidden = [f"{other}/{path.name}" for other in set(sees) - reach(sees, layer)
                  for path in folder_of(other).glob("*.h")]
        probes = "".join(f'#if __has_include("{header}")\nfound {header}\n#endif\n' for header in hidden)
        result = preprocess(build, layer, probes)
        assert (layer, result.returncode, result.stdout.strip()) == (layer, 0, "")


def test_no_include_goes_around_the_layers():
    climbing = [f"{path.relative_to(ROOT)}: {line}"
                for top in ("host", "bindings") for path in sorted((ROOT / top).rglob("*.[ch]"))
                for line in path.read_text().splitlines() if re.match(r'#include "(\.|/)', line)]
    assert climbing == []


def symbols(library, kinds):
    lines = subprocess.run(["nm", str(library)], capture_output=True, text=True, check=True).stdout
    return set(re.findall(rf"^[0-9a-f ]+ [{kinds}] (\w+)$", lines, re.MULTILINE))


def test_no_layer_needs_a_function_of_a_layer_that_it_does_not_see(build, sees):
    library = {layer: build / f"lib{layer}_layer.a" for layer in sees}
    defined = {layer: symbols(library[layer], "BDRT") for layer in sees}
    for layer in sees:
        below = set().union(*(defined[other] for other in reach(sees, layer)))
        above = set().union(*(defined[other] for other in set(sees) - reach(sees, layer)))
        assert (layer, symbols(library[layer], "U") & (above - below)) == (layer, set())


def test_the_table_in_the_architecture_is_the_builds(sees):
    page = (ROOT / "docs/ARCHITECTURE.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ((?:`\w+` ?)*) ?\|", page, re.MULTILINE)
    assert {name: re.findall(r"\w+", below) for name, below in rows} == sees


def walk_steps():
    """Each row of the walks of one event and one request: its number, functions and files."""
    page = (ROOT / "docs/ARCHITECTURE.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (.*) \| ((?:`[\w/.]+`(?:, )?)+) \|$", page, re.MULTILINE)
    return [(int(number), re.findall(r"`(\w+)`", text.split(":")[0]), re.findall(r"`([\w/.]+)`", files))
            for number, text, files in rows]


def source(name):
    found = [path for path in (ROOT / "host" / name, ROOT / "host/http" / name, ROOT / name) if path.exists()]
    return found[0].read_text() if found and found[0].is_file() else ""


def test_the_walks_name_functions_of_their_files_and_stay_short():
    steps = walk_steps()
    numbers = [number for number, _, _ in steps]
    assert numbers == list(range(1, 26)) + list(range(1, 21))
    absent = [(function, files) for _, functions, files in steps for function in functions
              if files != ["scripts/handlers/"]
              and not any(re.search(rf"\b{function}\(", source(file)) for file in files)]
    assert absent == []


def test_no_two_static_functions_share_a_name():
    named = {}
    for top in ("host", "bindings"):
        for path in sorted((ROOT / top).rglob("*.c")):
            for name in set(re.findall(r"^static [^;=(]*?\b(\w+)\(", path.read_text(), re.MULTILINE)):
                named.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in named.items() if len(paths) > 1} == {}
