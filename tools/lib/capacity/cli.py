"""tools/capacity: what a site needs of Kafka, Postgres, Redis and processes, and which limit comes first.

    tools/capacity --events 1000 --essays 30 --days 365 --queries 50 --hit-ratio 0.9
    tools/capacity --events 1000 --queries 50 --postgres-cores 16 --processes 4 --json
    tools/capacity --measure capacity.json        # measures this machine, servers of its own
    tools/capacity --figures capacity.json --events 1000
    tools/capacity --check                        # three loads on this machine beside the model, with
                                                  # --wait-ms, if it is busy
    tools/capacity --measure fleet.json --service examples/fleet --records telemetry.jsonl \\
        --path /v1/vehicles/truck-01

Without --figures the shipped figures are used; the second line of the output says of what machine."""
import argparse
import dataclasses
import json
import pathlib
import sys

from . import figures as figures_file
from . import limits, model
from .site import Site, make_site, option_name

ROOT = pathlib.Path(__file__).resolve().parents[3]


def add_site(parser):
    for field in dataclasses.fields(Site):
        standard = f" (default: {field.default})" if field.default is not None else ""
        parser.add_argument(option_name(field), dest=field.name, metavar="N",
                            help=field.metadata["help"] + standard)


def parse(arguments):
    parser = argparse.ArgumentParser(prog="tools/capacity", description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    site = parser.add_argument_group("the site")
    add_site(site)
    parser.add_argument("--figures", type=pathlib.Path, metavar="FILE",
                        help="figures that --measure wrote (default: those shipped)")
    parser.add_argument("--json", action="store_true", help="the needs and limits as JSON")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--measure", type=pathlib.Path, metavar="FILE",
                      help="measure this machine and write the figures into FILE")
    what.add_argument("--check", action="store_true",
                      help="run three loads on this machine and compare them with the model")
    other = parser.add_argument_group("another service, with --measure or --check")
    other.add_argument("--service", type=pathlib.Path, metavar="FOLDER")
    other.add_argument("--records", type=pathlib.Path, metavar="FILE",
                       help="its records, as build/feed reads them; 165,000 or more")
    other.add_argument("--path", action="append", default=[], help="that clients ask for")
    other.add_argument("--header", action="append", default=[], metavar="NAME:VALUE",
                       help="of clients (default: those of the service's run.json)")
    other.add_argument("--build", type=pathlib.Path, default=ROOT / "build",
                       help="folder of the built program (default: that of this tree)")
    return parser, parser.parse_args(arguments)


def typed(options):
    """The values of the site that were typed."""
    return {field.name: getattr(options, field.name) for field in dataclasses.fields(Site)
            if getattr(options, field.name) is not None}


# ---- output ---------------------------------------------------------------------------------------


def show_number(value):
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def title(site, figures):
    about = figures.about
    parts = f", {site.essays:g} {figures.part}s a {figures.unit}" if figures.part else ""
    return (f"{about.get('service', '?')}: {site.events:,g} events/s, {site.queries:,g} queries/s"
            f"{f', {site.peak:g} times as many at the peak' if site.peak != 1 else ''}{parts}, "
            f"{site.days:g} days kept\nfigures of {about.get('date', '?')}, "
            f"{about.get('cores', '?')} × {about.get('processor', '?')}"
            f", load {about.get('load', '?')}")


def show(site, figures, found, ends):
    print(title(site, figures))
    for server, needs in found.items():
        print(f"\n{server}")
        for what, need in needs.items():
            print(f"  {what:26}{show_number(need.value):>10} {need.unit:6} {need.why}".rstrip())
    print("\nlimits, the first to come first")
    for limit in ends:
        at = "not reached" if limit.factor is None else (
            f"at {show_number(limit.factor)} times the load: "
            f"{show_number(limit.factor * site.events)} events/s, "
            f"{show_number(limit.factor * site.queries)} queries/s")
        has = f"{show_number(limit.needs):>9} of {show_number(limit.has)} {limit.unit}"
        print(f"  {limit.name:28}{has:24} {at}")
    for line in warnings(site, found, ends):
        print(f"\n{line}", end="")
    print()


def warnings(site, found, ends):
    """What does not fit already."""
    lines = [f"this load is beyond the limit of {limit.name}: {limit.then}" for limit in ends
             if limit.factor is not None and limit.factor < 1]
    connections = found["Postgres"]["connections"].value
    if connections > site.max_connections:
        lines.append(f"{connections:,} connections are more than --max-connections "
                     f"{site.max_connections:,}: docs/operate/poolers.md")
    idle = site.processes * site.workers - site.active_workers
    if idle > 0:
        lines.append(f"{idle} workers have no partition: --partitions {site.partitions} is less "
                     "than processes × workers")
    return lines


def document(site, figures, found, ends):
    return {"site": dataclasses.asdict(site), "figures": figures.about,
            "needs": {server: {what: dataclasses.asdict(need) for what, need in needs.items()}
                      for server, needs in found.items()},
            "limits": [dataclasses.asdict(limit) for limit in ends],
            "warnings": warnings(site, found, ends)}


# ---- measuring ------------------------------------------------------------------------------------


def service_of(options, parser):
    """What is measured. The modules load what only measuring needs."""
    from . import service
    if not options.service:
        if options.records or options.path:
            parser.error("--records and --path are of another service: name it with --service")
        return service.Batches()
    if not options.records or not options.path:
        parser.error("--service needs --records and --path")
    from run_example import read_about
    headers = dict(header.split(":", 1) for header in options.header if ":" in header)
    try:
        return service.Other(options.service.resolve(), options.records, options.path,
                             headers or read_about(options.service)["headers"])
    except (OSError, ValueError) as error:
        parser.error(str(error))


def measure(options, parser):
    from run_folder import run_in_folder
    from . import measure as measuring
    service = service_of(options, parser)

    def run(folder, _cleanup):
        found = measuring.measure(service, options.build.resolve(), folder)
        options.measure.write_text(json.dumps(figures_file.dump(found), indent=1) + "\n")

    run_in_folder("capacity", run)
    print(f"wrote {options.measure}")


def check(options, parser, figures):
    from run_folder import run_in_folder
    from . import check as checking
    service = service_of(options, parser)

    def run(folder, _cleanup):
        checking.check(figures, service, options.build.resolve(), folder,
                       wait_ms=make_site(**{"events": 1} | typed(options)).wait_ms)

    run_in_folder("capacity", run)


def main(arguments):
    parser, options = parse(arguments)
    if options.measure:
        return measure(options, parser)
    try:
        figures = figures_file.load(options.figures or figures_file.SHIPPED)
        if options.check:
            return check(options, parser, figures)
        if not figures.part and options.essays is not None:
            raise ValueError(f"--essays: the figures are of a {figures.unit} without parts")
        site = make_site(**typed(options))
    except ValueError as error:
        sys.exit("\n".join(f"capacity: {line}" for line in str(error).splitlines()))
    found, ends = model.needs(site, figures), limits.limits(site, figures)
    if options.json:
        print(json.dumps(document(site, figures, found, ends), indent=1))
    else:
        show(site, figures, found, ends)
    return None
