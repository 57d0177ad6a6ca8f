"""Postgres over TLS, by libpq's options in the URL: verified servers, certificates of clients, a reason
for each failure, and files that are replaced while the program runs."""
import json
import shutil

import certificates
import psycopg2
import pytest
import stack
from harness import slot_event
from stack import wait_until

# `certified` needs a certificate, all others only TLS; this process may do without, to look.
RULES = """hostssl all certified 127.0.0.1/32 cert
hostnossl all watcher 127.0.0.1/32 trust
hostssl all all 127.0.0.1/32 trust
"""


class TlsPostgres(stack.Postgres):
    def __init__(self, folder, authority):
        super().__init__(folder, ("fsync=off", "ssl=on", "ssl_ca_file=root.crt",
                                  "shared_preload_libraries=pg_stat_statements"))
        self.authority = authority

    def fill_cluster(self, folder):
        super().fill_cluster(folder)
        (folder / "pg_hba.conf").write_text(RULES)
        self.present(self.authority, self.authority.issue("postgres"), folder)

    def present(self, authority, issued, folder=None):
        """The certificate of new connections, after a reload."""
        folder = folder or self.data.resolve()
        for name, source in (("server.crt", issued[0]), ("server.key", issued[1]),
                             ("root.crt", authority.certificate)):
            shutil.copy(source, folder / name)
            (folder / name).chmod(0o600)
            shutil.chown(folder / name, folder.owner(), folder.group())

    def reload(self):
        self.run("SELECT pg_reload_conf()")


@pytest.fixture
def tls_service(make_service, tmp_path, cleanup, authority):
    """A service whose Postgres takes connections with TLS only, except those of `watcher`."""
    postgres = TlsPostgres(tmp_path / "postgres", authority)
    cleanup.callback(postgres.remove)
    cleanup.callback(postgres.stop)
    postgres.start()
    postgres.run("CREATE ROLE watcher SUPERUSER LOGIN", "CREATE ROLE certified SUPERUSER LOGIN")
    service = make_service(cleanup, redis="none", postgres_url=postgres.url())
    service.postgres = postgres
    return service


def url_of(service, authority, user="ras", host="127.0.0.1", options=""):
    name = service.database_url.rsplit("/", 1)[1]
    return (f"postgresql://{user}@{host}:{service.postgres.port}/{name}?sslmode=verify-full"
            f"&sslrootcert={authority.certificate}{options}")


def start_with(service, url, **options):
    return service.start(RESULT_AGGREGATOR_SERVICE_DATABASE_URL=url, **options)


def database_of(program):
    return json.loads(program.get("/readyz")[1])["dependencies"]["database"]


def wait_healthy(program):
    wait_until("a healthy database", lambda: database_of(program)["status"] == "healthy")


def without_tls(service):
    """The program's connections without TLS."""
    with psycopg2.connect(service.database_url.replace("ras@", "watcher@")) as watcher:
        with watcher.cursor() as cursor:
            cursor.execute("SELECT count(*) FILTER (WHERE NOT ssl), count(*) FROM pg_stat_ssl JOIN "
                           "pg_stat_activity USING (pid) WHERE application_name LIKE 'aggregator %'")
            plain, all_of_them = cursor.fetchone()
    assert all_of_them > 3
    return plain


def test_every_connection_is_verified_and_encrypted_with_and_without_a_client_certificate(
        tls_service, authority):
    service = tls_service
    certificate, key = authority.issue("certified", names=None)
    mine = f"&sslcert={certificate}&sslkey={key}"
    for number, (user, options) in enumerate((("ras", ""), ("certified", mine))):
        program = start_with(service, url_of(service, authority, user, options=options))
        service.wait_ready(program)
        service.publish([slot_event("batch", f"essay-{number}", "a.txt")])
        service.wait_committed(number + 1)
        assert without_tls(service) == 0
        assert program.command("check").returncode == 0
        program.stop()


def test_each_fault_of_tls_has_its_reason(tls_service, authority, postgres_url, tmp_path):
    service = tls_service
    other = certificates.Authority(tmp_path / "other", "other")
    faults = {
        url_of(service, other): "the certificate of the database is expired, or of an unknown CA",
        url_of(service, authority, host="localhost"): "the certificate of the database names another host",
        url_of(service, authority, "certified"): "the database refuses the login",
        postgres_url + "?sslmode=require": "the database does not speak TLS",
        url_of(service, authority) + ".absent": "a file for TLS to the database cannot be used"}
    service.postgres.present(authority, authority.issue("postgres", names="IP:127.0.0.1"))
    service.postgres.reload()
    programs = [(start_with(service, url), reason) for url, reason in faults.items()]
    for program, reason in programs:
        wait_until(reason, lambda: database_of(program).get("reason") == reason)
        program.stop()
    service.postgres.present(authority, authority.issue("postgres", days=-1))
    service.postgres.reload()
    program = start_with(service, url_of(service, authority))
    wait_until("an expired certificate", lambda: database_of(program).get("reason") ==
               "the certificate of the database is expired, or of an unknown CA")
    failed = program.command("check", check=False)
    assert failed.returncode == 1 and "certificate verify failed" in failed.stderr


def test_replaced_files_are_used_by_the_next_connection(tls_service, authority, tmp_path):
    service, files = tls_service, tmp_path / "files"
    files.mkdir()
    used = {name: files / f"{name}.pem" for name in ("ca", "certificate", "key")}

    def hand_out(authority):
        issued = authority.issue("certified", names=None)
        for name, source in (("ca", authority.certificate), ("certificate", issued[0]),
                             ("key", issued[1])):
            certificates.replace(used[name], source)
        service.postgres.present(authority, authority.issue("postgres"))
        service.postgres.run("SELECT pg_reload_conf()")

    hand_out(authority)
    name = service.database_url.rsplit("/", 1)[1]
    program = start_with(service, f"postgresql://certified@127.0.0.1:{service.postgres.port}/{name}"
                         f"?sslmode=verify-full&sslrootcert={used['ca']}&sslcert={used['certificate']}"
                         f"&sslkey={used['key']}")
    service.wait_ready(program)
    hand_out(certificates.Authority(tmp_path / "other", "other"))
    service.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'certified'")
    service.publish([slot_event("batch", "essay", "a.txt")])
    service.wait_committed(1)
    wait_healthy(program)
