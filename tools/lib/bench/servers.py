"""What every bench stands on: a real Kafka, a Postgres and, where it is wanted, a Redis."""
import stack
from crashtest import verify


class Servers:
    """`cleanup` (an ExitStack) ends them."""

    def __init__(self, options, folder, cleanup, redis, partitions=3, postgres_settings=()):
        self.build, self.folder, self.cleanup = options.build, folder, cleanup
        self.postgres = stack.Postgres(folder / "postgres", postgres_settings)
        cleanup.callback(self.postgres.remove)
        self.kafka = stack.ApacheKafka(folder / "kafka", partitions=partitions)
        self.redis = stack.Redis(folder / "redis") if redis else None
        for server in filter(None, (self.postgres, self.kafka, self.redis)):
            cleanup.callback(server.stop)
            server.start()
        self.kafka.create_topics(self.build)

    def program(self, name, env):
        """The program with an empty database of that name, not started; and the database's URL."""
        url = self.postgres.create_database(name)
        program = stack.Aggregator(self.folder / name, self.build, url,
                                   self.redis.url if self.redis else "none", self.kafka.brokers,
                                   env)
        program.command("migrate")
        self.cleanup.callback(program.stop)
        return program, url

    def feed(self, stream):
        stack.feed(self.build, self.kafka.brokers, stream)


def committed(url):
    """How many events' offsets are."""
    return sum(max(0, following) for following, _ in verify.offsets(url).values())
