"""What tools/run --service FOLDER runs: another service, fed by its generator. FOLDER/run.json may name

    headers     of requests: the first has the API key; without them X-API-Key: dev-key
    generator   a script of the folder with its arguments, which prints records
    page        a page of the folder that is served beside the program (live_page.py)
    try         commands to try, in which {headers} and {base} are replaced
"""
import json
import pathlib
import subprocess
import sys
import threading

import live_page
import stack

DEFAULTS = {"headers": {"X-API-Key": "dev-key"}, "generator": [], "page": "", "try": []}
KNOWN = "headers, an object of texts, at least one; generator and try, lists of texts; page, a text"


def is_good(key, value):
    """Whether the value has the type of the key's default, and texts in it."""
    if key not in DEFAULTS or not isinstance(value, type(DEFAULTS[key])):
        return False
    texts = list(value.values()) if isinstance(value, dict) else value
    return all(isinstance(text, str) for text in texts) and (key != "headers" or len(texts) > 0)


def read_about(folder):
    """FOLDER/run.json over the defaults; a service may lack the file. ValueError: what is wrong."""
    file = folder / "run.json"
    if not (folder / "config.lua").is_file():
        raise ValueError(f"{folder} has no config.lua")
    try:
        about = json.loads(file.read_text()) if file.exists() else {}
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    if not isinstance(about, dict):
        raise ValueError(f"{file}: it is an object with {KNOWN}")
    for key, value in about.items():
        if not is_good(key, value):
            raise ValueError(f"{file}: {key} is not known, or not of its type; there are {KNOWN}")
    return DEFAULTS | about


class Example:
    """The interface that run.py needs of a service."""

    port_variable, group_variable = "AGGREGATOR_HTTP_PORT", "AGGREGATOR_KAFKA_GROUP"
    exported = ("AGGREGATOR_CONFIG", "AGGREGATOR_POSTGRES_URL", "AGGREGATOR_REDIS_URL",
                "AGGREGATOR_KAFKA_BROKERS", "AGGREGATOR_KAFKA_GROUP", "AGGREGATOR_ADMIN_SOCKET",
                "AGGREGATOR_HTTP_API_KEYS", "AGGREGATOR_HTTP_HOST", "AGGREGATOR_HTTP_PORT")

    def __init__(self, arguments):
        self.folder = pathlib.Path(arguments.service).resolve()
        self.about = read_about(self.folder)
        self.topics = stack.topics_of(self.folder)
        self.database = self.folder.name
        self.publishers = []

    def program(self, folder, build, postgres, redis, kafka):
        return stack.OtherAggregator(folder, build, self.folder, (postgres, redis, kafka),
                                     self.about["headers"])

    def commands(self, base):
        headers = " ".join(f"-H '{name}: {value}'" for name, value in self.about["headers"].items())
        return [line.format(headers=headers, base=base) for line in self.about["try"]]

    def feed(self, run):
        """Starts the generator, which publishes until the end; returns with the first events."""
        page = self.serve_page(run)
        if not self.about["generator"]:
            return f"no generator: `build/feed \"$(cat .run/brokers)\" FILE` publishes records{page}"
        script, *arguments = self.about["generator"]
        generator = subprocess.Popen(
            stack.tethered([sys.executable, self.folder / script, *arguments]),
            stdout=subprocess.PIPE, start_new_session=True)
        feeder = subprocess.Popen(
            stack.tethered([run.build / "feed", run.kafka, "/dev/stdin"]), stdin=generator.stdout,
            stdout=subprocess.DEVNULL, start_new_session=True)
        generator.stdout.close()
        self.publishers = [generator, feeder]
        for process in self.publishers:
            run.cleanup.callback(process.wait)
            run.cleanup.callback(process.kill)
        run.watch(lambda: run.counts()[0] > 0)
        return f"{script} publishes, and its first events are in the view{page}"

    def serve_page(self, run):
        if not self.about["page"]:
            return ""
        server = live_page.Server(stack.free_port(), f"127.0.0.1:{run.program.port}",
                                  self.folder / self.about["page"], self.about["headers"])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f": http://127.0.0.1:{server.server_port}/ shows them"

    def ended(self):
        """The arguments of a process that should publish and has ended, or None."""
        return next((process.args[-1] for process in self.publishers if process.poll() is not None), None)
