"""Draws the results of the other benchmarks, from their --json files, as SVG.

    tools/bench plot                                  of .test/bench, where the whole puts them
    tools/bench plot --into docs/plots FOLDER FILE…   of these

A file is told by its name, as the whole names it: drain-STREAM.json, http.json, scale.json,
peer.json. Charts of which no file is there are left out. The same figures give the same bytes."""
import json
import pathlib

import stack

from . import charts


def add_options(parser):
    parser.add_argument("paths", type=pathlib.Path, nargs="*", metavar="FILE|FOLDER",
                        default=[stack.ROOT / ".test" / "bench"], help="(default: .test/bench)")
    parser.add_argument("--into", type=pathlib.Path, default=stack.ROOT / "build" / "plots",
                        metavar="FOLDER", help="of the plots (default: build/plots)")
    parser.add_argument("--quick", action="store_true", help="as without: it takes seconds")


def files(paths):
    return [file for path in paths
            for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]


def figures(file):
    return json.loads(file.read_text(encoding="utf-8")).get("figures", [])


def run(options, _, __):
    from . import drawing  # matplotlib is there for this part only
    found = files(options.paths)
    drawn = {}
    options.into.mkdir(parents=True, exist_ok=True)
    for chart in charts.CHARTS:
        points = [point for file in found if file.match(chart.files)
                  for point in chart.points(file.stem, figures(file))]
        if points:
            drawing.draw(chart, points, options.into / f"{chart.name}.svg")
            drawn[chart.name] = [point._asdict() for point in points]
            print(f"{options.into / chart.name}.svg: {len(points)} figures")
    if options.json:
        options.json.write_text(json.dumps(drawn, indent=1))
    return [] if drawn else ["none of the files has what a chart shows"]
