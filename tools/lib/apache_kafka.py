"""apache_kafka: a real Apache Kafka on loopback. Its jars are fetched once by tools/lib/install.sh."""
import fcntl
import functools
import hashlib
import pathlib
import shutil
import subprocess
import tempfile

import stack

CACHE = stack.ROOT / ".test/kafka"
CLASSES = "classes.jsa"


@functools.cache
def prepared():
    """A folder with what takes each start seconds otherwise: `data`, formatted storage, and an archive of
    the classes as the JVM has checked them. Of several processes one makes it, for each Kafka and JVM."""
    jvm = subprocess.run(["java", "-version"], check=True, capture_output=True).stderr
    name = hashlib.sha256(jvm + (stack.KAFKA_JARS / "pom.xml").read_bytes()).hexdigest()[:16]
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (CACHE / name).exists():
            with tempfile.TemporaryDirectory(dir=CACHE) as draft:
                prepare(pathlib.Path(draft), CACHE / name)
    return CACHE / name


def prepare(draft, folder):
    (draft / "made").mkdir()
    kafka = ApacheKafka(draft)
    kafka.format()
    shutil.copytree(kafka.data(), draft / "made/data")
    try:
        kafka.run(f"-XX:ArchiveClassesAtExit={draft / 'made' / CLASSES}")
    finally:
        kafka.stop()
    (draft / "made").rename(folder)


class ApacheKafka(stack.Process):
    """KRaft, one node."""

    def __init__(self, folder, names=None, partitions=3, properties=None):
        super().__init__(folder)
        self.port, self.controller_port = stack.free_port(), stack.free_port()
        self.names, self.partitions = names or stack.topics(), partitions
        self.properties = properties or {}
        self.brokers = f"127.0.0.1:{self.port}"

    def java(self, *options, heap="-Xmx512m"):
        return ["java", heap, *options, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{stack.KAFKA_JARS}/*"]

    def write_properties(self):
        listener = f"PLAINTEXT://127.0.0.1:{self.port}"
        values = {
            "process.roles": "broker,controller", "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "listeners": f"{listener},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": listener, "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": self.data(), "num.partitions": self.partitions,
            "offsets.topic.replication.factor": 1, "offsets.topic.num.partitions": 1,
            "transaction.state.log.replication.factor": 1, "transaction.state.log.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0, "auto.create.topics.enable": "true",
            "group.min.session.timeout.ms": 1000, "log.cleaner.enable": "false", **self.properties}
        path = self.folder / "server.properties"
        path.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        return path

    def data(self):
        return self.folder / "kafka-data"

    def format(self):
        self.spawn([*self.java(), "kafka.tools.StorageTool", "format", "-t", "aggregatoraggregatorag", "-c",
                    self.write_properties()])
        self.finish("formatting Kafka's storage")

    def run(self, *options):
        self.spawn([*self.java(*options), "kafka.Kafka", self.write_properties()])
        self.wait_ready(lambda: stack.accepts(self.port))
        return self

    def start(self):
        made = prepared()
        if not self.data().exists():
            shutil.copytree(made / "data", self.data())
        return self.run(f"-XX:SharedArchiveFile={made / CLASSES}")

    def move(self, port):
        """Restarts under another address."""
        self.stop()
        self.port = port
        self.brokers = f"127.0.0.1:{self.port}"
        return self.start()

    def create_topics(self, build):
        stack.create_topics(build, self.brokers, self.names, self.partitions)
