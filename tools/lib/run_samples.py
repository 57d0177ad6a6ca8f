"""What tools/run runs by default: this service, fed with the sample streams."""
import json
import os
import subprocess

import stack

STREAMS = ("current", "first", "first-unlinked", "current-hard")
EVENTS_PER_SECOND = 100


def count_events(stream, topics):
    with open(stack.SAMPLES / f"{stream}.jsonl", encoding="utf-8") as lines:
        return sum(json.loads(line)["topic"] in topics for line in lines)


class Samples:
    """The interface that run.py needs of a service."""

    database = "ras"
    topics = stack.topics()
    # variables by which commands find the running servers
    exported = ("RESULT_AGGREGATOR_SERVICE_DATABASE_URL", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS",
                "KAFKA_CONSUMER_GROUP_ID", "ADMIN_SOCKET", "HULEEDU_INTERNAL_API_KEY", "HOST", "PORT")
    port_variable, group_variable = "PORT", "KAFKA_CONSUMER_GROUP_ID"

    def __init__(self, arguments):
        self.arguments = arguments
        self.api_key = os.environ.get("HULEEDU_INTERNAL_API_KEY", "dev-key")

    def program(self, folder, build, postgres, redis, kafka):
        return stack.Aggregator(folder, build, postgres, redis, kafka,
                                {"HULEEDU_INTERNAL_API_KEY": self.api_key})

    def commands(self, base):
        batches = json.loads((stack.SAMPLES / "current.expected.json").read_text())
        batch_id, batch = next(iter(batches.items()))
        headers = f"-H 'X-Internal-API-Key: {self.api_key}' -H 'X-Service-ID: api-gateway-service'"
        return [f"curl -s {headers} {base}/internal/v1/batches/{batch_id}/status",
                f"curl -s {headers} '{base}/internal/v1/batches/user/{batch['user_id']}?limit=2'",
                f". .run/env && build/aggregator try --path /internal/v1/batches/{batch_id}/status"]

    def feed(self, run):
        """Publishes each stream; returns when all is in the view."""
        read = set(stack.topics())
        total = 0
        for stream in STREAMS:
            total += count_events(stream, read - {stack.UNREAD_TOPIC})
            feeder = stack.feed(run.build, run.kafka, stream, EVENTS_PER_SECOND, wait=False)
            run.cleanup.callback(feeder.wait)
            run.cleanup.callback(feeder.kill)
            run.watch(lambda: feeder.poll() is not None and run.counts()[0] >= total,
                      lambda: f"{stream + '.jsonl':20} {run.counts()[0]:4} of {total:4} events "
                              f"processed, {run.counts()[1]:2} of them rejected")
            if feeder.returncode != 0:
                raise subprocess.CalledProcessError(feeder.returncode, f"publishing {stream}.jsonl")
        return "every sample event is in the view"

    def ended(self):
        return None
