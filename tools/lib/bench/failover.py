"""Time from a promotion to the first commit and to the first uncached response.

The primary is killed beside a steady stream of events; some seconds later its standby is promoted, and a new
standby takes the place of the old primary. The program knows both servers. Each time counts from the call of
pg_promote(); that until the promotion, a tool's, is not in it. Lists of a user are never cached, and the
primary answers them."""
import concurrent.futures
import contextlib
import http.client
import statistics
import time

import psycopg2
import stack
from crashtest import verify

from . import stream
from .report import Report
from .servers import COMMITTED, SEARCH_PATH, Servers

SETTINGS = ("max_connections=200", "wal_keep_size=256MB", "wal_retrieve_retry_interval=100ms")
RATE = 200  # events a second
ROUND_S = 60  # with the making of a standby, at most
LIMIT_S = 60
LOOK_AGAIN_S = 0.005
DATABASE = "ras_failover"
LIST = "/internal/v1/batches/user/teacher-0?limit=5"


def add_options(parser):
    parser.add_argument("--failovers", type=int, default=5, help="after each wait (default: %(default)s)")
    parser.add_argument("--waits", type=float, nargs="+", default=[1, 10], metavar="S",
                        help="seconds between the end of the primary and the promotion (default: 1 10)")
    parser.add_argument("--quick", action="store_true", help="two failovers, after 1 s")


class Pair:
    """A primary and a standby, which change places."""

    def __init__(self, servers, folder, cleanup):
        self.folder, self.cleanup = folder, cleanup
        self.primary, self.standby, self.old = servers.postgres, None, None
        self.standbys = 0
        self.add_standby(stack.free_port())

    def add_standby(self, port):
        self.standbys += 1
        self.standby = stack.Standby(self.folder / f"standby{self.standbys}", self.primary)
        self.standby.port = port
        self.cleanup.callback(self.standby.remove)
        self.cleanup.callback(self.standby.kill)
        self.standby.start()
        stack.wait_until("the standby to stream", lambda: verify.query(
            self.primary.url(), "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"), LIMIT_S)

    def hosts(self):
        return [f"127.0.0.1:{server.port}" for server in (self.primary, self.standby)]

    def fail_over(self):
        """The standby is the primary from now on."""
        self.standby.promote()
        self.primary, self.old = self.standby, self.primary

    def replace_old(self):
        self.old.remove()
        self.add_standby(self.old.port)


def moment_of(what, is_there):
    """When it is true; looks every few milliseconds."""
    stack.wait_until(what, is_there, LIMIT_S, LOOK_AGAIN_S)
    return time.monotonic()


def first_commit(url):
    """When the offsets have moved."""
    with contextlib.closing(psycopg2.connect(url, options=SEARCH_PATH)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            def committed():
                cursor.execute(COMMITTED)
                return cursor.fetchone()[0]
            before = committed()
            return moment_of("a commit", lambda: committed() > before)


def first_answer(program):
    def answers():
        connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=LIMIT_S)
        with contextlib.closing(connection):
            connection.request("GET", LIST, headers=stack.HEADERS)
            return connection.getresponse().status == 200
    return moment_of("a response", answers)


def once(pair, program, wait_s):
    """Seconds from the call of pg_promote(): until it returned, to the first commit, to the first response."""
    pair.primary.kill()
    time.sleep(wait_s)  # the event that is measured: an outage of this length
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        answered = thread.submit(first_answer, program)
        began = time.monotonic()
        pair.fail_over()
        promoted = time.monotonic()
        committed = first_commit(pair.primary.url(DATABASE))
        times = promoted - began, committed - began, answered.result() - began
    pair.replace_old()
    return times


def start(options, folder, cleanup):
    """The pair, and the program beside the stream."""
    servers = Servers(options, folder, cleanup, redis=True, postgres_settings=SETTINGS)
    url = servers.postgres.create_database(DATABASE)
    pair = Pair(servers, folder, cleanup)
    hosts = pair.hosts()
    program = servers.process("program", f"postgresql://ras@{','.join(hosts)}/{DATABASE}", {
        "AGGREGATOR_POSTGRES_READ_URLS": ",".join(f"postgresql://ras@{host}/{DATABASE}" for host in hosts)})
    program.command("migrate")
    events = stream.begin(servers, program, url)
    seconds = sum(options.waits) * options.failovers + ROUND_S * options.failovers * len(options.waits)
    events.write_backlog(folder / "steady.jsonl", int(RATE * seconds))
    steady = stack.feed(options.build, servers.kafka.brokers, folder / "steady.jsonl", RATE, wait=False)
    cleanup.callback(steady.wait)
    cleanup.callback(steady.terminate)
    return pair, program


def run(options, folder, cleanup):
    if options.quick:
        options.failovers, options.waits = 2, [1]
    pair, program = start(options, folder, cleanup)
    report = Report(f"{options.failovers} failovers after each wait, beside {RATE} events/s",
                    ("longest", "median"), "")
    for wait_s in options.waits:
        times = [once(pair, program, wait_s) for _ in range(options.failovers)]
        for name, seconds in zip(("promoted", "first commit", "first response"), zip(*times)):
            report.add(f"after {wait_s:g} s without a primary: {name}", statistics.median(seconds), "s",
                       without=max(seconds))
    report.print()
    if options.json:
        report.write(options.json)
    return report.problems()
