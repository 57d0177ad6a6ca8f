"""The deployment under test: Kafka, Postgres and Redis, each behind a proxy, and slots for up to three
processes of the program. At the end a second, undisturbed program reads the same log."""
import shutil

import apache_kafka
import outgoing_forms
import stack

from . import outside, proxy, slips, verify
from .database import Database
from .passwords import USER, Password
from .slot import Slot

DATABASE = "ras_crashtest"
PARTITIONS = 5  # of a topic: more than there are consumers
SLIP_EVENTS = 5  # one a partition, if spread
POOLED_SLOT = 2  # where there are neighbours: its process goes to Postgres through the pooler
# PgBouncer retries a failed server soon, and replaces old connections within a run.
POOLER_SETTINGS = {"server_login_retry": 1, "server_connect_timeout": 3, "server_lifetime": 60}
# A killed single node must not wait for the session of its former process.
KAFKA_SETTINGS = {"broker.session.timeout.ms": 2000, "broker.heartbeat.interval.ms": 300,
                  "offsets.topic.num.partitions": 1, "log.flush.interval.messages": 100000}


class Deployment:
    """Owns every server; `cleanup` (an ExitStack) ends them. With neighbours there are also a standby, a
    pooler, an outside service that a handler asks, a Kafka that moves, and passwords. `view`: the text of
    view.lua for the processes under test, where it is not the service's."""

    def __init__(self, folder, build, kind, cleanup, env=None, neighbours=False, view=None):
        self.env = env or {}  # of the processes under test
        self.folder, self.build, self.cleanup = folder, build, cleanup
        self.neighbours = neighbours
        self.loop = proxy.Loop()
        cleanup.callback(self.loop.stop)
        self.servers, self.proxies = {}, {}  # by name; those of Postgres change places
        self.database = Database(folder, self.loop, cleanup, self.servers, self.proxies)
        self.outside = outside.Service(self.loop) if neighbours else None
        self.fed = [*stack.topics(), slips.TOPIC, *([outside.TOPIC] if neighbours else [])]
        names = [*self.fed, *outgoing_forms.TOPICS]
        self.kafka = stack.EmbeddedKafka(folder / "kafka", build, names, PARTITIONS) \
            if kind == "embedded" else apache_kafka.ApacheKafka(folder / "kafka", names, PARTITIONS)
        self.slots = []
        self.passwords = {
            "postgres": Password(lambda text: self.database.change_password(USER, text)),
            "redis": Password(self.change_redis_password)}
        self.scripts = folder / "scripts"
        self.write_scripts()
        self.clean_scripts = shutil.copytree(self.scripts, folder / "clean-scripts")
        self.retention = None  # moves the horizon of the view
        if view:
            slips.put(self.scripts, {"view.lua": view})
        self.edits = 0
        self.slip_feeder = None
        self.config = self.write_config()

    @property
    def topics(self):
        """The service's topics that the program reads."""
        return [topic for topic in self.fed
                if topic not in (stack.UNREAD_TOPIC, slips.TOPIC)]

    def database_url(self):
        """Of the processes' database, at the primary of now."""
        return self.postgres.url(DATABASE)

    @property
    def postgres(self):
        """The current primary."""
        return self.database.primary

    def write_scripts(self):
        shutil.copytree(stack.ROOT / "scripts", self.scripts)
        slips.put(self.scripts, dict(slips.GOOD))
        if self.outside:
            slips.put(self.scripts, {outside.HANDLER: self.outside.handler()})

    def write_config(self):
        """The project's own, with heartbeats that suit a short session timeout."""
        text = stack.FULL_CONFIG.read_text()
        assert text.count("options = {},") == 1
        path = self.folder / "config.lua"
        path.write_text(text.replace("options = {},",
                                     'options = { ["heartbeat.interval.ms"] = "500" },'))
        return path

    def edit_scripts(self):
        """Replaces the scripts on disk by equivalent ones."""
        self.edits += 1
        self.put_scripts({"lib/edits.lua": f"return {self.edits}\n"})

    def put_scripts(self, text_of):
        """Writes files, {place: text}, into the scripts of every process under test."""
        for folder in [self.scripts, *(slot.scripts for slot in self.slots)]:
            slips.put(folder, text_of)

    def slip(self, slot, name):
        """Puts a mistake into the slot's scripts, and publishes events for its handler."""
        place, text = slips.SLIPS[name]
        slips.put(slot.scripts, {place: text})
        self.slip_feeder.publish(SLIP_EVENTS)

    @staticmethod
    def mend(slot):
        slips.put(slot.scripts, dict(slips.GOOD))

    def start(self, slots):
        self.start_kafka()
        self.database.start()
        self.start_redis()
        self.postgres.create_database(DATABASE)
        self.program(self.folder / "migrate", self.postgres.url(DATABASE)).command("migrate")
        verify.keep_history(self.postgres.url(DATABASE))
        if self.neighbours:
            self.database.make_role(USER, self.passwords["postgres"].text)
            self.database.add_standby()
            self.start_pooler()
        self.slots = [self.make_slot(number) for number in range(slots)]
        self.slip_feeder = slips.Feeder(self.kafka.brokers)

    def start_redis(self):
        """Its users outlive it in a file."""
        users = self.folder / "redis-users"
        users.write_text("user default on nopass ~* &* +@all\n")
        self.servers["redis"] = stack.Redis(self.folder / "redis", ("--aclfile", users))
        self.cleanup.callback(self.servers["redis"].kill)
        self.proxies["redis"] = proxy.Proxy(self.loop, self.servers["redis"].start().port)
        self.change_redis_password(self.passwords["redis"].text)

    def change_redis_password(self, password):
        redis = self.servers["redis"]
        redis.run("ACL", "SETUSER", USER, "on", "resetpass", f">{password}", "~*", "&*", "+@all")
        redis.run("ACL", "SAVE")
        redis.run("CLIENT", "KILL", "USER", USER)

    def start_pooler(self):
        """It finds the primary by a proxy of its own, as by an address that moves with it."""
        pooler = stack.PgBouncer(self.folder / "pooler", self.database.follow(), pool_size=40,
                                 settings=POOLER_SETTINGS)
        self.cleanup.callback(pooler.kill)
        self.servers["pooler"] = pooler.start()
        self.proxies["pooler"] = proxy.Proxy(self.loop, pooler.port)

    def start_kafka(self):
        """The program knows Kafka by its proxy's port, which a listener of its own advertises; with
        neighbours that is for the first contact only, and another address is advertised."""
        self.cleanup.callback(self.kafka.kill)
        if isinstance(self.kafka, stack.EmbeddedKafka):
            self.kafka.start()
            return
        self.servers["kafka"] = self.kafka
        self.proxies["kafka"] = proxy.Proxy(self.loop, stack.free_port())
        self.advertise(self.proxies["kafka"].move() if self.neighbours else
                       f"127.0.0.1:{self.proxies['kafka'].port}")
        self.kafka.start()
        self.kafka.create_topics(self.build)

    def advertise(self, address):
        """Kafka tells its clients this address from its next start on."""
        plain = f"PLAINTEXT://127.0.0.1:{self.kafka.port}"
        controller = f"CONTROLLER://127.0.0.1:{self.kafka.controller_port}"
        self.kafka.properties = KAFKA_SETTINGS | {
            "listeners": f"{plain},{controller},PROXIED://127.0.0.1:{self.proxies['kafka'].target}",
            "advertised.listeners": f"{plain},PROXIED://{address}",
            "listener.security.protocol.map":
                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT"}

    def program(self, folder, database_url, redis_url="none", brokers=None, env=None):
        env = {"KAFKA_SESSION_TIMEOUT_MS": "4000", "SCRIPTS_ROOT": str(self.scripts),
               "SQL_ROOT": str(stack.ROOT / "sql"), **(env or {})}
        return stack.Aggregator(folder, self.build, database_url, redis_url,
                                brokers or self.kafka.brokers, env, self.config)

    def server_urls(self, number):
        """Of the slot with this number: its URLs of Postgres, by both servers or the pooler, and of
        Redis; {} stands for a password."""
        redis = f"127.0.0.1:{self.proxies['redis'].port}"
        if not self.neighbours:
            return f"postgresql://ras@127.0.0.1:{self.proxies['postgres'].port}/{DATABASE}", \
                f"redis://{redis}"
        database = f"postgresql://ras@127.0.0.1:{self.proxies['pooler'].port}/{DATABASE}"
        if number != POOLED_SLOT:
            hosts = [f"127.0.0.1:{self.proxies[name].port}" for name in ("postgres", "standby")]
            if number % 2:
                hosts.reverse()
            database = f"postgresql://{USER}:{{}}@{','.join(hosts)}/{DATABASE}" \
                "?target_session_attrs=read-write"
        return database, f"redis://{USER}:{{}}@{redis}"

    def make_slot(self, number):
        database_url, redis_url = self.server_urls(number)
        brokers = f"127.0.0.1:{self.proxies['kafka'].port}" if "kafka" in self.proxies else None
        folder = self.folder / f"program{number}"
        scripts = folder / "scripts"
        shutil.copytree(self.scripts, scripts)
        env = {"INGEST_WORKERS": str(1 + number % 2), "SCRIPTS_ROOT": str(scripts), **self.env}
        if self.neighbours:
            # Reads from both servers, whichever is the standby: it has every acknowledged commit, but
            # may not have replayed it.
            env["AGGREGATOR_POSTGRES_READ_URLS"] = ",".join(
                f"postgresql://ras@127.0.0.1:{self.proxies[name].port}/{DATABASE}"
                for name in ("standby", "postgres"))
            env |= self.passwords["postgres"].tell("RESULT_AGGREGATOR_SERVICE_DATABASE_URL",
                                                   folder / "database-url", database_url)
            env |= self.passwords["redis"].tell("REDIS_URL", folder / "redis-url", redis_url)
        slot = Slot(number, self.program(folder, database_url, redis_url, brokers, env), scripts)
        self.cleanup.callback(slot.program.kill)
        return slot

    def start_clean(self):
        """The undisturbed program, with the service's view, a database, a Redis and a group of its own."""
        redis = stack.Redis(self.folder / "clean")
        self.cleanup.callback(redis.kill)
        url = self.postgres.create_database("ras_clean")
        program = self.program(self.folder / "clean", url, redis.start().url,
                               env={"KAFKA_CONSUMER_GROUP_ID": "clean",
                                    "SCRIPTS_ROOT": str(self.clean_scripts)})
        program.command("migrate")
        self.cleanup.callback(program.kill)
        return program.start(), url
