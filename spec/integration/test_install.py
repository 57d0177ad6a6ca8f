"""What `cmake --install` places: the manual page, the completions and the unit of systemd."""
import json
import re
import subprocess

import links
import pytest
from stack import ROOT

COMMANDS = {"run", "check", "rejected", "outbox", "help"}


@pytest.fixture(scope="module")
def installed(build, tmp_path_factory):
    """The folder that stands for the root."""
    root = tmp_path_factory.mktemp("root")
    subprocess.run(["cmake", "--install", build, "--prefix", "/usr"], check=True,
                   stdout=subprocess.DEVNULL, env={"DESTDIR": str(root), "PATH": "/usr/bin:/bin"})
    return root


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, **options)


def test_every_script_query_and_migration_is_installed(installed):
    for folder in ("scripts", "sql"):
        shipped = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file()}
        for path in shipped:
            assert (installed / "usr/share/aggregator" / path).is_file()


def test_alert_rules_dashboard_and_the_runbook_that_they_name_are_installed(installed):
    rules = (installed / "usr/share/aggregator/prometheus/aggregator.rules.yml").read_text()
    page = re.search("runbook_url: file://([^#]+)#", rules).group(1)
    assert (installed / page.lstrip("/")).is_file()
    assert (installed / "usr/share/aggregator/grafana/aggregator.json").is_file()


def test_the_installed_program_names_its_version(installed):
    version = re.search(r"VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text().split("project(")[1])
    said = run(installed / "usr/bin/aggregator", "--version").stdout
    assert said == f"aggregator {version.group(1)}\n"


def test_the_installed_program_reads_the_configuration_of_its_prefix(installed):
    site = installed / "usr/etc/aggregator/config.lua"
    share = installed / "usr/share/aggregator/config.lua"
    site.parent.mkdir(parents=True, exist_ok=True)
    site.write_text('return { extends = "../../share/aggregator/config.lua" }')

    def files():  # with a config.lua in the working folder
        return run(installed / "usr/bin/aggregator", "config", "log", cwd=ROOT).stdout
    assert files().startswith(f"# {site}\n# which extends {site.parent}/../../share")
    site.unlink()
    assert files().startswith((f"# {share}\n", "# /etc/aggregator/config.lua\n"))


def test_a_new_service_passes_by_the_commands_that_an_installed_program_prints(installed, tmp_path):
    env = {"PATH": f"{installed}/usr/bin:/usr/bin:/bin", "HOME": str(tmp_path)}
    said = run("aggregator", "new", "service", "orders", cwd=tmp_path, env=env).stdout
    commands = re.search(r"It passes as it is:\n((?:  .*\n)+)", said)[1]
    done = run("sh", "-ec", commands, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed, 0 failed" in done.stdout


# ---- the pages ----------------------------------------------------------------------------------

def test_the_page_lists_each_migration_since_the_first_release():
    page = (ROOT / "docs/operate/upgrade.md").read_text()
    first_release = {"0001", "0005"}
    service = {path.name[:4] for path in (ROOT / "sql/migrations").glob("*.sql")} - first_release
    program = {path.name[:4] for path in (ROOT / "host/schema").glob("0*.sql")}
    rows = re.findall(r"^\| (the program's )?(\d{4})\b", page, re.M)
    assert {number for owner, number in rows if not owner} == service
    assert {number for owner, number in rows if owner} == program


def test_every_link_of_an_installed_page_leads_to_an_installed_file(installed):
    folder = installed / "usr/share/doc/aggregator"
    pages = list(folder.rglob("*.md"))
    assert len(pages) > 20
    assert [f"{page.relative_to(folder)}: {link}" for page in pages for link in links.broken_links(page)] == []


# ---- the manual page ----------------------------------------------------------------------------

def test_the_manual_page_has_no_fault(installed):
    linted = run("mandoc", "-Tlint", installed / "usr/share/man/man1/aggregator.1")
    assert (linted.returncode, linted.stdout) == (0, "")


def test_the_manual_page_of_the_configuration_has_every_setting(installed, build):
    path = installed / "usr/share/man/man5/aggregator-config.5"
    linted = run("mandoc", "-Tlint", path)
    assert linted.stdout == "", linted.stdout
    page = re.sub(r".\x08", "", run("mandoc", "-Tascii", "-Owidth=400", path).stdout)
    shown = json.loads(run(build / "aggregator", "config", "--json", "--config",
                           ROOT / "config.lua").stdout)
    for setting in shown["settings"]:
        assert f" {setting['key']}\n" in page, setting["key"]


def test_the_manual_page_has_every_command_and_option(installed):
    page = run("mandoc", "-Tascii", "-Owidth=400", installed / "usr/share/man/man1/aggregator.1").stdout
    text = re.sub(r".\x08", "", page)
    usage = run(installed / "usr/bin/aggregator", "help").stdout
    names = re.findall(r"^  ([a-z]+(?: [a-z]+)?)  ", usage, re.M)
    assert COMMANDS & {name.split()[0] for name in names} == COMMANDS
    for name in names:
        assert f"aggregator {name}" in text
        for option in re.findall(r"^  (--\S+)", run(installed / "usr/bin/aggregator", "help",
                                                   *name.split()).stdout, re.M):
            assert option in text


# ---- completions --------------------------------------------------------------------------------

def complete_bash(installed, *words):
    script = installed / "usr/share/bash-completion/completions/aggregator"
    return run("bash", "-c", '. "$0"; compopt() { :; }; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
               'set +e; _aggregator; printf "%s\\n" "${COMPREPLY[@]}"', script, *words)


def complete_fish(installed, *words):
    script = installed / "usr/share/fish/vendor_completions.d/aggregator.fish"
    line = " ".join(words).replace(" = ", "=")
    return run("fish", "--no-config", "-c", f"source {script}; complete -C '{line}'")


# Stands for the functions of zsh's completion, and prints what they are given.
ZSH = """
_describe() { print -l -- ${(P)${@[-1]}} }
_arguments() { local line; for line in "$@"; do print -- $line; done }
words=("$@[2,-1]"); CURRENT=$#words
source "$1"
"""


def complete_zsh(installed, *words):
    script = installed / "usr/share/zsh/vendor-completions/_aggregator"
    return run("zsh", "-f", "-c", ZSH, "zsh", script, *words)


COMPLETIONS = {"bash": complete_bash, "fish": complete_fish, "zsh": complete_zsh}


@pytest.mark.parametrize("shell", COMPLETIONS)
@pytest.mark.parametrize("words, wanted, unwanted", [
    (["aggregator", ""], ["run", "rejected"], ["list"]),
    (["aggregator", "rejected", ""], ["list", "retry"], ["run"]),
    (["aggregator", "--log", "text", "outbox", ""], ["drop"], ["run", "text"]),
    (["aggregator", "rejected", "list", "--"], ["--reason", "--config"], ["--state", "list"]),
    (["aggregator", "help", "outbox", ""], [], ["run"]),
])
def test_a_shell_completes_what_may_follow(installed, shell, words, wanted, unwanted):
    answer = COMPLETIONS[shell](installed, *words)
    assert answer.stderr == ""
    names = {re.match(r"-{0,2}[a-z-]*", line).group() for line in answer.stdout.splitlines()}
    assert names >= set(wanted)
    assert not names & set(unwanted)


@pytest.mark.parametrize("shell", ["bash", "fish"])
@pytest.mark.parametrize("words", [["--state", "se"], ["--state", "=", "se"]])
def test_a_shell_completes_the_values_of_an_option(installed, shell, words):
    answer = COMPLETIONS[shell](installed, "aggregator", "outbox", "list", *words)
    assert {line.split("\t")[0].replace("--state=", "") for line in answer.stdout.split("\n")
            if line} == {"sent", "settled"}


# ---- the unit -----------------------------------------------------------------------------------

def test_systemd_rates_the_unit_ok(installed):
    unit = installed / "usr/lib/systemd/system/aggregator.service"
    rated = run("systemd-analyze", "security", "--offline=true", "--no-pager", unit)
    exposure = float(re.search(r"Overall exposure level .*: ([0-9.]+) OK", rated.stdout).group(1))
    assert exposure < 2


def test_systemd_understands_every_line_of_the_unit(installed):
    unit = installed / "usr/lib/systemd/system/aggregator.service"
    said = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit).stderr
    faults = [line for line in said.splitlines() if "is not executable" not in line]
    assert faults == []
