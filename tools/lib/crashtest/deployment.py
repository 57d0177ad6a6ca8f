"""What is tested: Kafka, Postgres and Redis, each behind a proxy, and slots for up to three
processes of the program. A second, undisturbed program reads the same log in the end."""
import shutil

import stack

from . import proxy, slips, verify
from .slot import Slot

DATABASE = "ras_crashtest"
PARTITIONS = 5  # of a topic: more than there are consumers
SLIP_EVENTS = 5  # one a partition, if spread
POSTGRES_SETTINGS = ("fsync=off", "max_connections=200", "log_min_messages=panic")
# A single node that was killed must not wait for its own ghost.
KAFKA_SETTINGS = {"broker.session.timeout.ms": 2000, "broker.heartbeat.interval.ms": 300,
                  "offsets.topic.num.partitions": 1, "log.flush.interval.messages": 100000}


class Deployment:
    """Owns every server; `cleanup` (an ExitStack) ends them."""

    def __init__(self, folder, build, kind, cleanup, env=None):
        self.env = env or {}  # of the processes under test
        self.folder, self.build, self.cleanup = folder, build, cleanup
        names = [*stack.topics(), slips.TOPIC]
        self.postgres = stack.Postgres(folder / "postgres", POSTGRES_SETTINGS)
        self.redis = stack.Redis(folder / "redis")
        self.kafka = stack.EmbeddedKafka(folder / "kafka", build, names, PARTITIONS) \
            if kind == "embedded" else stack.ApacheKafka(folder / "kafka", names, PARTITIONS)
        self.loop = proxy.Loop()
        cleanup.callback(self.loop.stop)
        self.proxies = {}
        self.slots = []
        self.scripts = folder / "scripts"
        shutil.copytree(stack.ROOT / "scripts", self.scripts)
        slips.put(self.scripts, dict(slips.GOOD))
        self.edits = 0
        self.slip_feeder = None
        self.config = self.write_config()

    @property
    def topics(self):
        """Those of the service that the program reads."""
        return [topic for topic in self.kafka.names
                if topic not in (stack.UNREAD_TOPIC, slips.TOPIC)]

    def write_config(self):
        """The project's own, with heartbeats that suit a short session timeout."""
        text = (stack.ROOT / "config.lua").read_text()
        assert text.count("options = {},") == 1
        path = self.folder / "config.lua"
        path.write_text(text.replace("options = {},",
                                     'options = { ["heartbeat.interval.ms"] = "500" },'))
        return path

    def edit_scripts(self):
        """From now on other scripts lie on the disk, which do the same."""
        self.edits += 1
        for folder in [self.scripts, *(slot.scripts for slot in self.slots)]:
            slips.put(folder, {"lib/edits.lua": f"return {self.edits}\n"})

    def slip(self, slot, name):
        """The slot's scripts have a slip from now on, and its handler has something to do."""
        place, text = slips.SLIPS[name]
        slips.put(slot.scripts, {place: text})
        self.slip_feeder.publish(SLIP_EVENTS)

    @staticmethod
    def mend(slot):
        slips.put(slot.scripts, dict(slips.GOOD))

    def start(self, slots):
        self.start_kafka()
        for server in (self.postgres, self.redis):
            self.cleanup.callback(server.kill)
            server.start()
        self.cleanup.callback(self.postgres.remove)
        self.proxies |= {"postgres": proxy.Proxy(self.loop, self.postgres.port),
                         "redis": proxy.Proxy(self.loop, self.redis.port)}
        self.postgres.create_database(DATABASE)
        self.program(self.folder / "migrate", self.postgres.url(DATABASE)).command("migrate")
        verify.keep_history(self.postgres.url(DATABASE))
        self.slots = [self.make_slot(number) for number in range(slots)]
        self.slip_feeder = slips.Feeder(self.kafka.brokers)

    def start_kafka(self):
        """The program knows Kafka by its proxy's port, which a listener of its own advertises."""
        self.cleanup.callback(self.kafka.kill)
        if isinstance(self.kafka, stack.EmbeddedKafka):
            self.kafka.start()
            return
        inner = stack.free_port()
        self.proxies["kafka"] = proxy.Proxy(self.loop, inner)
        plain = f"PLAINTEXT://127.0.0.1:{self.kafka.port}"
        controller = f"CONTROLLER://127.0.0.1:{self.kafka.controller_port}"
        self.kafka.properties = KAFKA_SETTINGS | {
            "listeners": f"{plain},{controller},PROXIED://127.0.0.1:{inner}",
            "advertised.listeners": f"{plain},PROXIED://127.0.0.1:{self.proxies['kafka'].port}",
            "listener.security.protocol.map":
                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT"}
        self.kafka.start()
        self.kafka.create_topics(self.build)

    def program(self, folder, database_url, redis_url="none", brokers=None, env=None):
        env = {"KAFKA_SESSION_TIMEOUT_MS": "4000", "SCRIPTS_ROOT": str(self.scripts),
               "SQL_ROOT": str(stack.ROOT / "sql"), **(env or {})}
        return stack.Aggregator(folder, self.build, database_url, redis_url,
                                brokers or self.kafka.brokers, env, self.config)

    def make_slot(self, number):
        url = self.postgres.url(DATABASE).replace(f":{self.postgres.port}/",
                                                  f":{self.proxies['postgres'].port}/")
        redis_url = f"redis://127.0.0.1:{self.proxies['redis'].port}"
        brokers = f"127.0.0.1:{self.proxies['kafka'].port}" if "kafka" in self.proxies else None
        folder = self.folder / f"program{number}"
        scripts = folder / "scripts"
        shutil.copytree(self.scripts, scripts)
        env = {"INGEST_WORKERS": str(1 + number % 2), "SCRIPTS_ROOT": str(scripts), **self.env}
        slot = Slot(number, self.program(folder, url, redis_url, brokers, env), scripts)
        self.cleanup.callback(slot.program.kill)
        return slot

    def start_clean(self):
        """The undisturbed program, with a database, a Redis and a group of its own."""
        redis = stack.Redis(self.folder / "clean")
        self.cleanup.callback(redis.kill)
        url = self.postgres.create_database("ras_clean")
        program = self.program(self.folder / "clean", url, redis.start().url,
                               env={"KAFKA_CONSUMER_GROUP_ID": "clean"})
        program.command("migrate")
        self.cleanup.callback(program.kill)
        return program.start(), url
