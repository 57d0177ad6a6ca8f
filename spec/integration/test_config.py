"""`aggregator config`, layers of files, variables, and commands while the configuration is wrong."""
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from stack import ROOT, free_port, wait_until

sys.path.insert(0, str(ROOT / "tools/lib"))
import settings_page  # noqa: E402

SECRETS = ("s3cret-of-the-database", "s3cret-of-redis", "s3cret-key-of-the-gateway",
           "s3cret-of-kafka", "key")


def settings(program, *arguments):
    """Of each key what `aggregator config --json` says."""
    shown = json.loads(program.command("config", "--json", *arguments).stdout)
    return {setting["key"]: setting for setting in shown["settings"]}


@pytest.fixture
def site(bare_service):
    """A site's file that extends the service's; with its socket beside it."""
    class Site:
        path = bare_service.folder / "site.lua"

        def write(self, text="", socket='socket = "own.sock"'):
            self.path.write_text(f'return {{\n  extends = "{ROOT}/config.lua",\n'
                                 f"  admin = {{ {socket} }},\n{text}\n}}\n")
            return self.path

        def prepare(self, **env):
            program = bare_service.prepare(self.path, **env)
            del program.env["ADMIN_SOCKET"]
            return program

        def start(self, **env):
            program = self.prepare(**env).start()
            wait_until("the socket", (self.path.parent / "own.sock").exists)
            return program
    made = Site()
    made.write()
    return made


def test_each_setting_is_shown_with_its_source(site):
    site.write('  http = { threads = 17, loops = 3 },\n  log = { level = "warning" },')
    program = site.prepare(AGGREGATOR_HTTP_LOOPS="4", ALLOWED_SERVICE_IDS="one,two")
    shown = settings(program)
    assert shown["http.states"]["source"] == "default" and shown["http.states"]["value"] == 8
    assert shown["http.threads"]["files"] == [f"{site.path}:4"]
    assert (shown["http.loops"]["value"], shown["http.loops"]["source"]) == (4, "environment")
    assert shown["http.loops"]["variables"] == ["AGGREGATOR_HTTP_LOOPS"]
    services = shown["http.allowed_services"]
    assert services["value"] == ["one", "two"] and services["source"] == "file"
    assert services["variables"] == ["ALLOWED_SERVICE_IDS"]
    line = int(services["files"][0].rsplit(":", 1)[1])
    assert "allowed_services" in (ROOT / "config.lua").read_text().splitlines()[line - 1]
    assert shown["scripts.sql"]["variables"] == ["SQL_ROOT"]
    text = program.command("config").stdout
    assert f"# {site.path}\n# which extends {ROOT}/config.lua\n" in text
    assert re.search(rf"^http\.threads +17 +{site.path}:4$", text, re.M)
    assert re.search(r"^http\.states +8 +default$", text, re.M)
    changed = program.command("config", "--changed").stdout
    assert "http.threads" in changed and "http.states" not in changed
    one = program.command("config", "http.threads").stdout
    assert "default 16, 1 to 4096; AGGREGATOR_HTTP_THREADS; a change needs a restart" in one


def test_variables_of_the_environment_file_are_named(site):
    (site.path.parent / "environment").write_text("LOG_LEVEL=error\nSERVICE_NAME=unused\n")
    program = site.prepare(SERVICE_NAME="mine")
    shown = settings(program, "log.level")["log.level"]
    assert (shown["value"], shown["in_environment_file"]) == ("error", ["LOG_LEVEL"])
    assert (f"LOG_LEVEL in {site.path.parent}/environment, {ROOT}/config.lua:"
            in program.command("config", "log").stdout)
    assert "environment" not in program.command("config", "service.name").stdout


def test_what_a_file_prints_is_no_part_of_the_output(site):
    site.path.write_text('print("port", 7, nil)\n' + site.path.read_text())
    program = site.prepare()
    ran = program.command("config", "--json")
    assert json.loads(ran.stdout)["settings"]
    assert f"{site.path}:1: port\t7\tnil\n" in ran.stderr


def test_secrets_are_hidden(site):
    site.write('  kafka = { options = { ["sasl.password"] = "s3cret-of-kafka", '
               '["ssl.key.password"] = "key", ["linger.ms"] = 5 } },')
    program = site.prepare(
        RESULT_AGGREGATOR_SERVICE_DATABASE_URL="postgresql://ras:s3cret-of-the-database@h/d",
        REDIS_URL="redis://:s3cret-of-redis@h", ADMIN_API_KEY="key",
        HULEEDU_INTERNAL_API_KEY="s3cret-key-of-the-gateway,key")
    for words in ([], ["--json"], ["--describe"]):
        said = program.command("config", *words)
        for secret in SECRETS[:-1]:
            assert secret not in said.stdout + said.stderr
    shown = settings(program)
    assert shown["postgres.url"]["value"] == "postgresql://ras:***@h/d"
    assert shown["redis.url"]["value"] == "redis://:***@h"
    assert shown["http.api_keys"]["value"] == ["***", "***"]
    assert shown["admin.keys"]["value"] == ["***"]
    assert shown["kafka.options"]["value"] == {"sasl.password": "***", "ssl.key.password": "***",
                                               "linger.ms": "5"}


def test_a_setting_that_is_not_there_is_refused_with_the_nearest(site):
    program = site.prepare()
    failed = program.command("config", "http.treads", check=False)
    assert failed.returncode == 2 and 'did you mean "http.threads"?' in failed.stderr
    assert set(settings(program, "log")) == {"log.level", "log.format"}


def test_properties_of_kafka_come_from_variables(site):
    program = site.prepare(AGGREGATOR_KAFKA_OPTIONS="linger.ms=5",
                           AGGREGATOR_KAFKA_OPTIONS_CLIENT_RACK="b")
    assert settings(program)["kafka.options"]["value"] == {"client.rack": "b", "linger.ms": "5"}
    program.env["AGGREGATOR_KAFKA_OPTIONS_NO_SUCH_PROPERTY"] = "1"
    refused = program.command("check", check=False)
    assert refused.returncode == 1 and "no.such.property" in refused.stderr


def test_warnings_name_what_is_probably_misspelt(site):
    site.write('  http = { vocabularies = { ["api-gateway-servic"] = "internal" } },')
    program = site.prepare(AGGREGATOR_HTTP_THREDS="3")
    for words in (["config"], ["check"]):
        said = program.command(*words)
        assert "AGGREGATOR_HTTP_THREDS names no setting: did you mean" in said.stdout + said.stderr
        assert '"api-gateway-servic" is not in http.allowed_services' in said.stdout + said.stderr


def test_the_running_program_shows_its_settings_and_what_differs_on_the_disk(site):
    program = site.start(AGGREGATOR_HTTP_THREADS="20")
    del program.env["AGGREGATOR_HTTP_THREADS"]
    site.write("  http = { states = 9, loops = 3 },")
    shown = settings(program, "--running")
    assert shown["http.threads"]["value"] == 20
    assert shown["http.threads"]["source"] == "environment"
    assert (shown["http.states"]["value"], shown["http.states"]["on_disk"],
            shown["http.states"]["needs_restart"]) == (8, 9, False)
    assert (shown["http.loops"]["on_disk"], shown["http.loops"]["needs_restart"]) == (3, True)
    assert "on_disk" not in shown["http.port"]
    assert "on the disk: 3, which a restart applies" in program.command(
        "config", "http", "--running").stdout
    program.command("reload")
    shown = settings(program, "--running")
    assert shown["http.states"]["value"] == 9
    assert shown["http.states"]["files"] == [f"{site.path}:4"]
    failed = program.command("config", "http.loop", "--running", "--json", check=False)
    assert failed.returncode == 2 and 'did you mean "http.loops"?' in failed.stderr


def test_output_that_cannot_be_written_is_a_failure(site):
    program = site.prepare()
    for words in ("config", "config --json", "config --describe"):
        with open("/dev/full", "w", encoding="utf-8") as full:
            failed = subprocess.run(
                [program.build / "aggregator", *words.split(), *program.options], cwd=ROOT,
                env=program.env, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert failed.returncode == 1, words
        assert "aggregator: standard output cannot be written: No space left" in failed.stderr


@pytest.mark.parametrize("text, place", [
    ("  htp = {},", ":4: htp: unknown section"), ("  http = {", ":"),
    ("  http = { api_keys = list(env_or_file('KEYS')) },", ":4: KEYS_FILE: /nowhere")])
def test_commands_reach_the_program_while_the_configuration_is_wrong(site, text, place):
    program = site.start(KEYS_FILE="/nowhere")
    site.write(text)
    for words in (["status"], ["resume"], ["config", "--running"]):
        asked = program.command(*words, check=False)
        assert asked.stdout, asked.stderr
        assert f"{site.path}{place}" in asked.stderr
        assert ("the configuration is wrong; the running program is asked at "
                f"{site.path.parent}/own.sock") in asked.stderr
    assert "# on the disk the configuration is wrong:" in asked.stdout
    for word in ("reload", "rollback"):
        refused = program.command(word, check=False)
        assert refused.returncode == 1 and '"done":false' in refused.stdout
    failed = program.command("check", check=False)
    assert failed.returncode == 1 and place in failed.stderr


def test_commands_take_the_settings_of_the_program_while_the_configuration_is_wrong(site):
    program = site.start()
    url = program.env.pop("RESULT_AGGREGATOR_SERVICE_DATABASE_URL")
    site.write("  http = {")
    for words in (["outbox", "list"], ["rejected", "list"], ["explain", "no-such-id"]):
        asked = program.command(*words, check=words[0] != "explain")
        assert "the settings are those of the running program at" in asked.stderr
        assert ":6: '}' expected" in asked.stderr
    for words in (["check"], ["migrate"], ["run"], ["types"]):
        failed = program.command(*words, check=False)
        assert failed.returncode == 1 and "the settings are" not in failed.stderr
    program.env["RESULT_AGGREGATOR_SERVICE_DATABASE_URL"] = url
    program.stop()
    failed = program.command("outbox", "list", check=False)
    assert failed.returncode == 1 and "no aggregator answers at admin.socket" in failed.stderr


def test_a_vocabulary_that_no_route_has_is_refused_with_its_line(site):
    site.write('  http = {\n    vocabularies = { ["bff-teacher-service"] = "intenal" } },')
    refused = site.prepare().command("check", check=False)
    assert refused.returncode == 1
    assert f"{site.path}:5: http.vocabularies: bff-teacher-service reads" in refused.stderr
    assert 'did you mean "internal"?' in refused.stderr


def test_secrets_do_not_leave_by_the_admin_port(site):
    program = site.prepare(ADMIN_API_KEY="an-admin-key-of-16-bytes", ADMIN_PORT=str(free_port()),
                           HULEEDU_INTERNAL_API_KEY="s3cret-key-of-the-gateway").start()

    def ask(path):
        request = urllib.request.Request(
            f"http://127.0.0.1:{program.env['ADMIN_PORT']}/admin/{path}",
            headers={"Authorization": "Bearer an-admin-key-of-16-bytes"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.read().decode()
    shown = ask("config?only=http")
    assert '"http.port"' in shown and "s3cret" not in shown
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask("settings")
    assert refused.value.code == 404


def test_a_refused_reload_names_file_and_line(site):
    program = site.start()
    site.write('  http = { states = "many" },')
    refused = json.loads(program.command("reload", check=False).stdout)
    assert refused["done"] is False
    assert f"{site.path}:4: http.states: must be a whole number" in refused["error"]
    site.write("  http = { states = 9 },")
    assert json.loads(program.command("reload").stdout)["settings"] == ["http.states"]


def test_the_socket_can_be_named(site):
    program = site.start()
    site.path.write_text("return {{")
    asked = program.command("status", "--json", "--socket", site.path.parent / "own.sock",
                            check=False)
    assert json.loads(asked.stdout)["ready"] in (True, False)
    failed = program.command("status", "--socket", "/nowhere", check=False)
    assert failed.returncode == 1 and "/nowhere" in failed.stderr


def test_the_file_is_found_by_a_variable(site):
    program = site.prepare()
    program.options = []
    program.env["AGGREGATOR_CONFIG"] = str(site.path)
    assert f"# {site.path}\n" in program.command("config").stdout


def test_the_page_lists_every_setting(build):
    assert (ROOT / "docs/operate/settings.md").read_text() == settings_page.page(build), (
        f"run tools/lib/settings_page.py {build.name} >docs/operate/settings.md")
