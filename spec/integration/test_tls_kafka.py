"""Kafka over TLS, by librdkafka's properties: certificates of both sides, PLAIN and SCRAM, a reason for each
failure. One real broker has a listener for each case."""
import contextlib
import pathlib
import subprocess

import apache_kafka
import certificates
import pytest
import stack
from conftest import start_apache
from harness import dependencies, edited_config, log_lines, slot_event
from stack import wait_until

pytestmark = pytest.mark.xdist_group("tls_kafka")
PUBLISHED = "huleedu.ras.batch.results.ready.v1"
LISTENERS = ("TLS", "MTLS", "SASL", "NAME", "EXPIRED")


class TlsKafka(apache_kafka.ApacheKafka):
    """Listeners beside the plain one: TLS; MTLS wants the client's certificate; SASL wants PLAIN or SCRAM
    in TLS; NAME and EXPIRED have a bad certificate."""

    def __init__(self, folder, **options):
        super().__init__(folder, **options)
        self.ports = {name: stack.free_port() for name in LISTENERS}
        self.authority = certificates.Authority(self.folder / "ca")
        listeners = ",".join([f"PLAINTEXT://127.0.0.1:{self.port}",
                              *(f"{name}://127.0.0.1:{port}" for name, port in self.ports.items())])
        self.properties |= {
            "listeners": f"{listeners},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT," + ",".join(
                f"{name}:{'SASL_SSL' if name == 'SASL' else 'SSL'}" for name in LISTENERS),
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
            "listener.name.mtls.ssl.client.auth": "required",
            "listener.name.sasl.plain.sasl.jaas.config": "org.apache.kafka.common.security.plain."
                'PlainLoginModule required user_plain="plain-pw";',
            "listener.name.sasl.scram-sha-256.sasl.jaas.config":
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"}
        for name in LISTENERS:
            self.certify(name)

    def certify(self, name):
        certificate, key = self.authority.issue(
            name, "DNS:other" if name == "NAME" else "IP:127.0.0.1", -1 if name == "EXPIRED" else 30)
        store = self.folder / f"{name}.store.pem"
        store.write_text(key.read_text() + certificate.read_text())
        prefix = f"listener.name.{name.lower()}.ssl"
        self.properties |= {
            f"{prefix}.keystore.type": "PEM", f"{prefix}.keystore.location": store,
            f"{prefix}.truststore.type": "PEM", f"{prefix}.truststore.location":
                self.authority.certificate}

    def set_scram(self, user, password):
        subprocess.run([*self.java(heap="-Xmx128m"), "kafka.admin.ConfigCommand", "--bootstrap-server",
                        self.brokers, "--alter", "--add-config", f"SCRAM-SHA-256=[password={password}]",
                        "--entity-type", "users", "--entity-name", user], check=True,
                       capture_output=True)


@pytest.fixture(scope="module")
def tls_kafka(build, tmp_path_factory):
    with contextlib.ExitStack() as module:
        kafka = start_apache(module, tmp_path_factory.mktemp("tls-kafka"), build, kind=TlsKafka)
        stack.create_topics(build, kafka.brokers, [PUBLISHED])
        kafka.set_scram("scram", "scram-pw")
        yield kafka


@pytest.fixture
def tls_service(make_service, cleanup, tls_kafka):
    return make_service(cleanup, tls_kafka, redis="none")


def start_on(service, listener, **options):
    """A program in a group of its own. `options`: librdkafka's, with _ for the dots."""
    kafka = service.kafka
    options = {"ssl_ca_location": kafka.authority.certificate, "security_protocol":
               "sasl_ssl" if listener == "SASL" else "ssl"} | options
    lua = ", ".join(f'["{name.replace("_", ".")}"] = "{value}"' for name, value in options.items())
    config = edited_config(service.folder / f"{listener}{len(service.programs)}.lua", (
        "options = {},", f"options = {{ {lua} }},"))
    return service.start(config, KAFKA_CONSUMER_GROUP_ID=service.folder.name,
                         KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{kafka.ports[listener]}")


def essays(service):
    return service.query("SELECT count(*) FROM essay_results")[0][0]


def publish_by_outbox(service):
    service.query("INSERT INTO aggregator_state.outbox (identity, topic, value, fact_at, source, scripts) "
                  "VALUES ('fact', %s, '{}', now(), 'handlers/t', 'h')", PUBLISHED)
    wait_until("the message", lambda: service.query(
        "SELECT state FROM aggregator_state.outbox")[0][0] == "sent")


def client_of(kafka):
    certificate, key = kafka.authority.issue("client", names=None)
    return {"ssl_certificate_location": certificate, "ssl_key_location": key}


def test_consumer_outbox_and_commands_work_with_certificates_of_both_sides(tls_service):
    service = tls_service
    service.publish([slot_event("batch", f"essay-{number}", "a.txt") for number in range(3)])
    program = start_on(service, "MTLS", **client_of(service.kafka))
    wait_until("the events", lambda: essays(service) >= 3)
    service.wait_ready(program)
    publish_by_outbox(service)
    assert "essay-1" in program.command("tap", "--from-beginning", "--limit", "3", timeout=60).stdout
    assert "essay" in program.command("explain", "essay", "essay-1").stdout
    program.command("verify")
    assert not log_lines(program, "Kafka consumer reported an error")


@pytest.mark.parametrize("mechanism, user", [("PLAIN", "plain"), ("SCRAM-SHA-256", "scram")])
def test_a_login_in_tls_consumes_and_publishes(tls_service, mechanism, user):
    service = tls_service
    service.publish([slot_event("batch", f"{user}-{number}", "a.txt") for number in range(3)])
    program = start_on(service, "SASL", sasl_mechanism=mechanism, sasl_username=user,
                       sasl_password=f"{user}-pw")
    wait_until("the events", lambda: essays(service) >= 3)
    service.wait_ready(program)
    publish_by_outbox(service)
    assert f"{user}-pw" not in program.log.read_text()


def cpu_s(program):
    fields = pathlib.Path(f"/proc/{program.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


FAULTS = {
    "TLS": ({"ssl_ca_location": "other.pem"}, "the certificate of Kafka is of an unknown CA"),
    "NAME": ({}, "the certificate of Kafka names another host"),
    "EXPIRED": ({}, "the certificate of Kafka is expired or not yet valid"),
    "MTLS": ({}, "Kafka refuses the TLS connection"),
    "SASL": ({"sasl_mechanism": "SCRAM-SHA-256", "sasl_username": "scram", "sasl_password": "wrong-pw"},
             "Kafka refuses the login"),
}


def test_each_fault_has_its_reason_and_the_client_tries_at_a_bounded_rate(tls_service):
    service, kafka = tls_service, tls_service.kafka
    other = certificates.Authority(kafka.folder / "ca", "other")
    programs = {}
    for listener, (options, reason) in FAULTS.items():
        options = {name: other.certificate if value == "other.pem" else value
                   for name, value in options.items()}
        programs[start_on(service, listener, **options)] = reason
    for program, reason in programs.items():
        wait_until(reason, lambda: dependencies(program)["kafka"].get("reason") ==
                   f"waits for its partitions: {reason}", 30)
    for program, reason in programs.items():
        wait_until("more attempts", lambda: len(log_lines(program, "Kafka consumer reported an error")) > 2,
                   30)
        assert dependencies(program)["kafka"]["reason"].endswith(reason)  # one reason, whatever follows
        assert cpu_s(program) < 2
        assert len(log_lines(program, "the kafka client cannot read")) == 1
        assert program.get("/readyz/read")[0] == 200
        assert "wrong-pw" not in program.log.read_text()


def test_replaced_files_are_used_without_a_restart(tls_service, tmp_path):
    """librdkafka reads files only when it creates a client: consumer and producer are replaced."""
    service = tls_service
    ca = tmp_path / "ca.pem"
    certificates.replace(ca, certificates.Authority(tmp_path, "other").certificate)
    service.publish([slot_event("batch", "essay", "a.txt")])
    service.query("INSERT INTO aggregator_state.outbox (identity, topic, value, fact_at, source, scripts) "
                  "VALUES ('fact', %s, '{}', now(), 'handlers/t', 'h')", PUBLISHED)
    program = start_on(service, "TLS", ssl_ca_location=ca)
    wait_until("a refused certificate", lambda: "unknown CA" in dependencies(program)["kafka"].get("reason", ""))
    wait_until("a producer's error", lambda: log_lines(program, "Kafka producer reported an error"))
    certificates.replace(ca, service.kafka.authority.certificate)
    wait_until("the event", lambda: essays(service) >= 1)
    wait_until("the message", lambda: service.query(
        "SELECT state FROM aggregator_state.outbox")[0][0] == "sent")
    assert program.metric("ras_kafka_client_restarts_total") == 1
