"""A real Prometheus that reads the metrics of running programs each second."""
import json
import urllib.error
import urllib.parse
import urllib.request

import stack


class Prometheus(stack.Process):
    """Its job `aggregator` has these programs as targets."""

    def __init__(self, folder, programs):
        super().__init__(folder)
        self.port = stack.free_port()
        self.targets = [f"127.0.0.1:{program.port}" for program in programs]

    def start(self):
        config = self.folder / "prometheus.yml"
        config.write_text(json.dumps({
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [{"job_name": "aggregator",
                                "static_configs": [{"targets": self.targets}]}]}))
        self.spawn(["prometheus", f"--config.file={config}",
                    f"--storage.tsdb.path={self.folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"])
        self.wait_ready(lambda: self.get("/-/ready")[0] == 200)
        return self

    def get(self, path):
        """(status, body); status 0: no response."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=120) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""

    def query(self, expression):
        """The series of an instant query; an AssertionError if Prometheus refuses it."""
        status, body = self.get("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        assert status == 200, (expression, body)
        return json.loads(body)["data"]["result"]
