"""Private servers on free loopback ports: Postgres, Redis, an embedded Kafka (apache_kafka.py has the real
one), and the program itself. Used by tools/run, the tests, the bench, the crash test and the soak.

Every process is a child with a death signal of its own: none outlives the one that started it. Each
has a session of its own, so that Ctrl-C in a terminal reaches only that one, which ends the others
in order. A module a server; who uses them imports stack.
"""
from .kafka import EmbeddedKafka, create_topics, feed
from .pgbouncer import PgBouncer, pgbouncer_version
from .postgres import POSTGRES_BIN, Postgres, Standby, create_database
from .process import Process, accepts, free_port, tail, tethered, wait_until
from .program import Aggregator, OtherAggregator
from .redis import Redis
from .service import (API_KEY, FULL_CONFIG, HEADERS, KAFKA_JARS, ROOT, ROOTS, SAMPLES, UNREAD_TOPIC,
                    edited_config, retaining_view, roots, topics, topics_of, with_retention)

__all__ = ["API_KEY", "FULL_CONFIG", "HEADERS", "KAFKA_JARS", "POSTGRES_BIN", "ROOT", "ROOTS", "SAMPLES",
           "UNREAD_TOPIC", "Aggregator", "EmbeddedKafka", "OtherAggregator", "PgBouncer",
           "Postgres", "Process", "Redis", "Standby", "accepts", "create_database", "create_topics",
           "edited_config", "feed", "free_port",
           "pgbouncer_version", "retaining_view", "roots", "tail", "tethered", "topics",
           "topics_of", "wait_until", "with_retention"]
