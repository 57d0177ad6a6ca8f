"""Throughput of queries, beside other servers that send the same bytes.

One batch's status, about 10 kB, is asked for over 16 connections that stay open: of the program,
from its cache, with the ETag (304), and with its cache off; of a bare civetweb from memory; of
nginx from a file, and by Lua from Redis. What is not cached is held against pgbench, which runs the
same statement over as many connections as the program has. All take turns, several times. A
server's processor time is that of all its processes, and of the databases behind it. Exits with 1
where an answer was not as expected; a target that is missed is only said.

    tools/bench http            three turns of five seconds each, about three minutes
    tools/bench http --quick    of one second, about a minute
    tools/bench http --tls      over HTTPS beside nginx with the same certificate: connections that
                                stay open, and a handshake for each request"""

import certificates
import stack
from soak.rest import states

from . import stream
from .contestants import Statement, Web
from .report import Report
from .servers import Servers
from .web_servers import Civetweb, Nginx
from .wrk import CONNECTIONS, Load

CACHED, UNCHANGED = "aggregator, cached", "aggregator, 304"
UNCACHED, STATEMENT = "aggregator, not cached", "pgbench, same statement"
MEMORY, FILE, REDIS = "civetweb, from memory", "nginx, from a file", "nginx + Lua + Redis"
# (of whom, against whom, at least)
RATIOS = ((CACHED, MEMORY, 0.8), (CACHED, REDIS, 1.5), (CACHED, FILE, None),
          (UNCHANGED, MEMORY, 1.0), (UNCACHED, STATEMENT, 0.8))
WITH_DATABASE = (REDIS, UNCACHED)
SECURE, FILE_SECURE = "aggregator, TLS", "nginx, TLS, from a file"
SHAKING, FILE_SHAKING = "aggregator, handshakes", "nginx, handshakes"
TLS_RATIOS = ((SECURE, FILE_SECURE, 0.8), (SHAKING, FILE_SHAKING, 0.8), (SECURE, CACHED, None))
HITS_METRIC = "ras_cache_hits_total"
BATCH = stream.batch_id(0)


def add_options(parser):
    parser.add_argument("--runs", type=int, default=3, help="turns of each (default: 3)")
    parser.add_argument("--seconds", type=int, help="of a turn (default: 5)")
    parser.add_argument("--quick", action="store_true", help="turns of a second")
    parser.add_argument("--tls", action="store_true", help="over HTTPS, beside nginx alone")


class Programs:
    """Two of one view, one with its cache off."""

    def __init__(self, options, folder, cleanup):
        self.servers = Servers(options, folder, cleanup, redis=True)
        self.cached, self.url = self.servers.program("ras_bench", {})
        self.uncached = stack.Aggregator(folder / "uncached", options.build, self.url,
                                         self.servers.redis.url, self.servers.kafka.brokers,
                                         {"CACHE_ENABLED": "false"})
        cleanup.callback(self.uncached.stop)
        authority = certificates.Authority(folder / "tls")
        self.identity = authority.issue("server")
        self.secure = stack.Aggregator(folder / "secure", options.build, self.url,
                                       self.servers.redis.url, self.servers.kafka.brokers)
        self.secure.serve_tls(*self.identity, authority.certificate)
        cleanup.callback(self.secure.stop)

    def start(self, tls):
        stream.begin(self.servers, self.cached, self.url)
        (self.secure if tls else self.uncached).start()


def other_servers(options, folder, cleanup, programs):
    civetweb = Civetweb(folder / "civetweb", options.build, CONNECTIONS)
    nginx = Nginx(folder / "nginx", programs.servers.redis.port, programs.identity)
    for server in (civetweb, nginx):
        cleanup.callback(server.stop)
    return civetweb, nginx


def contestants(programs, civetweb, nginx):
    """Started, and all with the same answer."""
    redis, postgres = programs.servers.redis, programs.servers.postgres
    load = Load(f"/internal/v1/batches/{BATCH}/status")
    _, fields, body, _ = load.answer(programs.cached.port)
    known = Load(load.path, {"If-None-Match": fields["etag"]})
    civetweb.start(body)
    nginx.start(load.path, body)
    found = [
        Web(CACHED, (programs.cached,), programs.cached.port, load),
        Web(MEMORY, (civetweb,), civetweb.port, load),
        Web(FILE, (nginx,), nginx.file_port, load),
        Web(REDIS, (nginx, redis), nginx.lua_port, load),
        Web(UNCHANGED, (programs.cached,), programs.cached.port, known, 304),
        Web(UNCACHED, (programs.uncached, postgres), programs.uncached.port, load),
        Statement(STATEMENT, (postgres,), programs.url, BATCH)]
    for contestant in found:
        contestant.check(body)
    return found, len(body)


def secure_contestants(programs, nginx):
    """The same over TLS."""
    plain = Load(f"/internal/v1/batches/{BATCH}/status")
    load = Load(plain.path, tls=programs.secure.tls)
    once = Load(plain.path, {"Connection": "close"}, load.tls)
    _, _, body, _ = load.answer(programs.secure.port)
    nginx.start(load.path, body)
    found = [
        Web(CACHED, (programs.cached,), programs.cached.port, plain),
        Web(SECURE, (programs.secure,), programs.secure.port, load),
        Web(FILE_SECURE, (nginx,), nginx.tls_port, load),
        Web(SHAKING, (programs.secure,), programs.secure.port, once),
        Web(FILE_SHAKING, (nginx,), nginx.tls_port, once)]
    for contestant in found:
        contestant.check(body)
    return found, len(body)


def measure(contestant, seconds):
    figures = contestant.measure(seconds)
    print(f"{contestant.name:24} {figures.requests_per_second:9,.0f} requests/s, "
          f"{figures.cpu_us:7.1f} us of CPU each", flush=True)
    return figures


def take_turns(those, turns, seconds):
    """Name to figures, one a turn."""
    for contestant in those:
        contestant.warm()
    runs = {contestant.name: [] for contestant in those}
    for _ in range(turns):
        for contestant in those:
            runs[contestant.name].append(measure(contestant, seconds))
    return runs


def judge(report, runs, ratios):
    """Ratios are those within each turn."""
    report.none("answers that were not as expected",
                sum(turn.wrong for turns in runs.values() for turn in turns))
    for name, turns in runs.items():
        report.median(name, [turn.requests_per_second for turn in turns], "requests/s")
    for name, turns in runs.items():
        report.median(name, [turn.cpu_us for turn in turns], "us of CPU for a request")
    for name in WITH_DATABASE if ratios is RATIOS else ():
        report.median(f"{name}, its own", [turn.own_cpu_us for turn in runs[name]],
                      "us of CPU for a request")
    for name, other, least in ratios:
        report.median(f"{name} / {other}",
                      [mine.requests_per_second / theirs.requests_per_second
                       for mine, theirs in zip(runs[name], runs[other])], least=least)


def run(options, folder, cleanup):
    seconds = options.seconds or (1 if options.quick else 5)
    programs = Programs(options, folder, cleanup)
    civetweb, nginx = other_servers(options, folder, cleanup, programs)
    programs.start(options.tls)
    those, body_bytes = (secure_contestants(programs, nginx) if options.tls else
                         contestants(programs, civetweb, nginx))
    runs = take_turns(those, options.runs, seconds)
    report = Report(f"One answer of {body_bytes:,} bytes over {CONNECTIONS} connections, "
                    f"{states()} to the database; {options.runs} turns of {seconds} s",
                    ("least to most", "median"))
    judge(report, runs, TLS_RATIOS if options.tls else RATIOS)
    if not options.tls:
        report.none("answers from the cache that is off", programs.uncached.metric(HITS_METRIC))
    report.print()
    if options.json:
        report.write(options.json, body_bytes=body_bytes, connections=CONNECTIONS,
                     database_connections=states(), seconds=seconds)
    return report.problems()
