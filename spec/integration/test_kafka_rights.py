"""An Apache Kafka with logins and rights: the program reports each refusal, and recovers when the
right is granted by the commands of docs/operate/rights.md."""
import re
import subprocess

import apache_kafka
import pytest
import stack
from harness import dependencies, edited_config, log_lines, slot_event
from stack import ROOT, wait_until

PUBLISHED = {"huleedu.ras.": "huleedu.ras.batch.results.ready.v1",
             "huleedu.notification": "huleedu.notification.teacher.requested.v1"}


def documented_commands():
    """The words behind kafka-acls.sh of each command in the operators' manual."""
    manual = (ROOT / "docs/operate/rights.md").read_text()
    found = re.findall(r"^kafka-acls.sh --bootstrap-server BROKER --command-config admin.properties (.*)",
                       manual, re.MULTILINE)
    assert len(found) == 4
    return found


class StrictKafka(apache_kafka.ApacheKafka):
    """Clients without a login may do everything; the user `aggregator` may do nothing until grant()."""

    def __init__(self, folder):
        self.sasl_port = stack.free_port()
        super().__init__(folder, properties={
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS", "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl.plain.sasl.jaas.config":
                "org.apache.kafka.common.security.plain.PlainLoginModule required "
                'user_aggregator="right-pw";',
            "listener.security.protocol.map":
                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT"})
        plain, sasl = f"PLAINTEXT://127.0.0.1:{self.port}", f"SASL://127.0.0.1:{self.sasl_port}"
        self.properties |= {
            "listeners": f"{plain},{sasl},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"{plain},{sasl}"}

    def grant(self, words):
        """Runs the manual's command with these words."""
        command = [line for line in documented_commands() if words in line][0]
        subprocess.run([*self.java(heap="-Xmx128m"), "kafka.admin.AclCommand", "--bootstrap-server",
                        self.brokers, *command.split()], check=True, capture_output=True)


@pytest.fixture
def strict_kafka(tmp_path, cleanup, build):
    kafka = StrictKafka(tmp_path / "kafka")
    cleanup.callback(kafka.stop)
    kafka.start()
    kafka.create_topics(build)
    stack.create_topics(build, kafka.brokers, PUBLISHED.values())
    return kafka


def reason(program):
    return dependencies(program)["kafka"].get("reason", "")


def test_refused_login_group_and_topic_are_reported_and_recover_without_restart(
        make_service, strict_kafka, tmp_path, cleanup):
    service = make_service(cleanup, strict_kafka)
    password = tmp_path / "password"
    password.write_text("wrong-pw\n")
    config = edited_config(tmp_path / "sasl.lua", (
        "options = {},", 'options = { ["security.protocol"] = "sasl_plaintext", '
        '["sasl.mechanism"] = "PLAIN", ["sasl.username"] = "aggregator", '
        '["sasl.password"] = env_or_file("KAFKA_PASSWORD") },'))
    service.publish([slot_event("batch", f"essay-{number}", "a.txt") for number in range(9)])
    program = service.start(config, KAFKA_PASSWORD_FILE=str(password),
                            KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{strict_kafka.sasl_port}")
    wait_until("a refused login", lambda: "refuses the login" in reason(program))
    assert program.get("/readyz")[0] == 503 and program.get("/readyz/read")[0] == 200

    password.write_text("right-pw\n")
    wait_until("a refused group", lambda: "refuses the consumer group" in reason(program))
    strict_kafka.grant("--operation Read --group")
    waiting = wait_until("refused topics", lambda: dependencies(program)["kafka"]["waiting"])
    assert {wait["cause"] for wait in waiting} == {"kafka"}
    assert "does not allow reading the topic" in waiting[0]["reason"]
    logged = log_lines(program, "a topic waits: kafka refuses access")
    assert {line["level"] for line in logged} == {"error"}
    assert {(wait["topic"], wait["reason"]) for wait in waiting} <= {
        (line["topic"], line["reason"]) for line in logged}
    assert program.get("/readyz/consume")[0] == 503
    page = program.command("status", check=False).stdout
    assert page.count("\nwaits: ") == 1 and " nil" not in page, page
    assert page.count("ingestion waits (kafka): correct the cause") == 1

    strict_kafka.grant("--operation Read --topic")
    wait_until("the events of the topic", lambda: service.query(
        "SELECT count(*) FROM essay_results")[0][0] == 9)
    wait_until("the topic does not wait", lambda: "huleedu.els.essay.slot.assigned.v1" not in {
        wait["topic"] for wait in dependencies(program)["kafka"]["waiting"]})
    assert not log_lines(program, "the kafka client is replaced")
    assert "wrong-pw" not in program.log.read_text() and "right-pw" not in program.log.read_text()

    reasons = ("Kafka does not allow the user to write", "Topic authorization failed")
    for (words, topic), reason_of_message in zip(PUBLISHED.items(), reasons):
        service.query("INSERT INTO aggregator_state.outbox (identity, topic, value, fact_at, source, scripts) "
                      "VALUES (%s, %s, '{}', now(), 'handlers/t', 'h')", topic, topic)

        def message(column, topic=topic):
            return service.query(f"SELECT {column} FROM aggregator_state.outbox WHERE topic = %s", topic)[0][0]

        wait_until("a refused message", lambda: reason_of_message in (message("error") or ""))
        strict_kafka.grant(f"--operation Write --topic {words}")
        wait_until("the message", lambda: message("state") == "sent")
    assert not program.ask("status")["outbox"]["error"]
    assert len(log_lines(program, "Kafka producer failed and is replaced")) < 8  # the waits double
