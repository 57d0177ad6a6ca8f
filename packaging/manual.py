"""manual: the manual pages aggregator(1), made of the table of `aggregator help --json`, and
aggregator-config(5), made of that of `aggregator config --json`. Their macros are those of man(7). SOURCE_DATE_EPOCH dates the page; without it, today does.
"""
import itertools
import json
import os
import re
import textwrap
import time

FILES = (
    ("/etc/aggregator/config.lua", "The settings of this site: what differs from the service's."),
    ("/etc/aggregator/environment", "Variables of the service, such as passwords: NAME=value lines."),
    ("/usr/share/aggregator/", "The service as shipped: config.lua, scripts, SQL, types for editors."),
    ("/run/aggregator/admin.sock", "The socket by which commands reach the running program."),
)
EXAMPLES = (
    ("Check configuration, scripts and database, then apply what is missing:",
     "aggregator check\naggregator migrate"),
    ("Ask the running program for its state:", "aggregator status"),
    ("Replace its scripts after a comparison on the newest 5,000 events:",
     "aggregator reload --shadow-run --events 5000"),
    ("Explain the values of a batch:", "aggregator explain BATCH-ID"),
)
EXAMPLE_CONFIG = """return {
  extends = "/usr/share/aggregator/config.lua",
  http = { port = 4005, threads = 32 },
  kafka = { options = { ["security.protocol"] = "ssl" } },
}"""


def escape(text):
    """Text that roff prints as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return text.replace("^", "\\(ha").replace("~", "\\(ti")


def prose(text):
    """Paragraph text: what stands between backquotes is bold, as options are; a sentence a line."""
    parts = text.split("`")
    out = "".join(bold(part) if index % 2 else mark_options(part)
                  for index, part in enumerate(parts))
    sentences = re.sub(r"(?<=[A-Za-z0-9)\]][.:;?]) (?=\S)", "\n", out).split("\n")
    lines = [line for sentence in sentences
             for line in textwrap.wrap(sentence, 60, break_long_words=False, break_on_hyphens=False)]
    return "\n".join("\\&" + line if line[:1] in ".'" else line for line in lines)


def bold(text):
    return f"\\fB{escape(text)}\\fR"


def mark_options(text):
    return "".join(bold(part) if index % 2 else escape(part)
                   for index, part in enumerate(re.split(r"(?<!\S)(--[a-z][a-z-]*)", text)))


def synopsis(text):
    """Options bold, names of values italic."""
    def mark(match):
        word = match.group()
        return bold(word) if word.startswith("--") else f"\\fI{escape(word)}\\fR"
    parts = re.split(r"(--[a-z][a-z-]*|[A-Z]{2,}|N\b)", text)
    return "".join(mark(re.match(".*", part)) if index % 2 else escape(part)
                   for index, part in enumerate(parts))


def tagged(tag, text):
    return f".TP\n{tag}\n{prose(text)}"


def of_option(option):
    value = f" \\fI{escape(option['value'])}\\fR" if option["value"] else ""
    return tagged(f"\\fB\\-\\-{escape(option['name'])}\\fR{value}", option["help"])


def of_command(command):
    usage = f"{bold('aggregator ' + command['name'])} {synopsis(command['synopsis'])}".rstrip()
    text = command["help"] or command["summary"][0].upper() + command["summary"][1:] + "."
    lines = [f".SS {usage}"]
    for index, paragraph in enumerate(text.split("\n")):
        lines += [".PP"] * (index > 0) + [prose(paragraph)]
    lines += [tagged(f"\\fI{escape(argument['name'])}\\fR", argument["help"])
              for argument in command["arguments"]]
    lines += [of_option(option) for option in command["options"]]
    if command["status"]:
        lines += [".PP", prose(f"Exit status: {command['status']}.")]
    return "\n".join(lines)


def title(name, section, version, manual):
    date = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH",
                                                                     time.time()))))
    return f'.TH {name} {section} {date} "aggregator {version}" "{manual}"'


def of_setting(setting):
    default = setting["default"]
    facts = "default: " + ("none" if default in ("", [], {}) else
                           default if isinstance(default, str) else json.dumps(default))
    if "min" in setting:
        facts += f", {setting['min']} to {setting['max']}"
    elif "words" in setting:
        facts += f", of {', '.join(setting['words'].split())}"
    text = setting["description"]
    return tagged(bold(setting["key"]), f"{text[0].upper()}{text[1:]}. ({facts}; a change needs a "
                                        f"{setting['change']})")


def settings_page(table, settings):
    sections = [".SH SETTINGS"]
    for section, group in itertools.groupby(settings, lambda one: one["key"].split(".")[0]):
        sections += [f".SS {section}", *map(of_setting, group)]
    return "\n".join([
        title("AGGREGATOR-CONFIG", 5, table["version"], "File Formats"),
        ".SH NAME", "aggregator\\-config \\- settings of aggregator(1)",
        ".SH SYNOPSIS", "\\fI/etc/aggregator/config.lua\\fR",
        ".SH DESCRIPTION",
        prose("The file is Lua and returns a table of sections. It says what differs from the file "
              "that it `extends`, and that from the defaults. Each setting is also a variable: "
              "`http.port` is `AGGREGATOR_HTTP_PORT`, or `AGGREGATOR_HTTP_PORT_FILE` for a file that "
              "holds the value; a variable overrides every file. The functions env, env_or_file and "
              "list read the variables of a platform. `aggregator config` prints each value and "
              "where it comes from; `aggregator check` names what is wrong."),
        ".SH EXAMPLES", ".EX", escape(EXAMPLE_CONFIG), ".EE",
        *sections,
        ".SH FILES", *(tagged(f"\\fI{escape(path)}\\fR", text) for path, text in FILES),
        ".SH SEE ALSO", "\\fBaggregator\\fR(1),",
        "\\fI/usr/share/doc/aggregator/operate/configure.md\\fR", ""])


def page(table):
    return "\n".join([
        title("AGGREGATOR", 1, table["version"], "User Commands"),
        ".SH NAME",
        "aggregator \\- keeps a view of Kafka events in PostgreSQL and serves it",
        ".SH SYNOPSIS", ".B aggregator", "\\fICOMMAND\\fR [\\fIARGUMENTS\\fR] [\\fIOPTIONS\\fR]",
        ".SH DESCRIPTION",
        prose("The program reads events from Kafka, keeps a view of them in PostgreSQL, and answers "
              "HTTP queries from that view. Handlers of events and routes are Lua files, which are "
              "replaced while the program runs. `aggregator run` is the service; the other commands "
              "prepare, ask and change it."),
        ".SH OPTIONS", "Every command takes these, before or after its name.",
        *map(of_option, table["options"]),
        ".SH COMMANDS", *map(of_command, table["commands"]),
        ".SH EXIT STATUS", "Of a command that names no other:",
        tagged("0", "done"), tagged("1", "failed; standard error has the reason"),
        tagged("2", "wrong usage: nothing was done"),
        tagged("128 + N", "signal N ended the command"),
        ".SH SIGNALS",
        tagged("SIGTERM, SIGINT", "end `run`, `verify` and `rebuild` in order; a second one ends "
               "them at once."),
        tagged("SIGHUP", "makes `run` reload its scripts and settings."),
        ".SH FILES", *(tagged(f"\\fI{escape(path)}\\fR", text) for path, text in FILES),
        ".SH EXAMPLES",
        *(f"{'.PP' if index else ''}\n{prose(text)}\n.PP\n.RS 4\n.EX\n{escape(command)}\n.EE\n.RE".lstrip()
          for index, (text, command) in enumerate(EXAMPLES)),
        ".SH SEE ALSO", "\\fBaggregator\\-config\\fR(5);", "the pages for operators and for authors of scripts in",
        "\\fI/usr/share/doc/aggregator/\\fR.", ""])

