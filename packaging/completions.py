"""completions: completions for bash, fish and zsh, made of the table of `aggregator help --json`."""
import re
import shlex
from itertools import starmap

FILES = ("FILE", "FILE|-", "PATH")  # values that name a file


class Command:
    """A command, or the program without one (name "")."""

    def __init__(self, entry, commands):
        self.name = entry["name"]
        self.options = entry["options"]
        self.takes_files = any(argument["name"] in FILES for argument in entry["arguments"])
        # The words that may come next, with what they do. If there are some, no other comes.
        self.following = following(re.sub("^help ?", "", self.name), commands)


def following(name, commands):
    """The words that continue the name of a group ("": of the program)."""
    start = f"{name} " if name else ""
    found = {}
    for command in commands:
        if command["name"].startswith(start):
            word, _, more = command["name"][len(start):].partition(" ")
            others = [c["name"].split()[1] for c in commands if c["name"].startswith(f"{word} ")]
            found[word] = ", ".join(others) if more else command["summary"]
    return found


def read(table):
    """Commands, groups ("rejected") and the program itself."""
    commands = table["commands"]
    none = {"options": [], "arguments": []}
    groups = {c["name"].split()[0] for c in commands if " " in c["name"]}
    names = groups | {f"help {group}" for group in groups} | {""}
    entries = commands + [none | {"name": name} for name in sorted(names)]
    return [Command(entry, commands) for entry in entries]


def values_of(option):
    """How the value of an option is completed: "" no value, "file", "none", or words."""
    if not option["value"]:
        return ""
    return " ".join(option["words"]) or ("file" if option["value"] in FILES else "none")


def valued(table):
    """Every option with a value, each once: values by name."""
    options = table["options"] + [o for command in table["commands"] for o in command["options"]]
    return {o["name"]: values_of(o) for o in sorted(options, key=lambda o: o["name"]) if o["value"]}


def dashed(option):
    return f"--{option['name']}"


# ---- bash ---------------------------------------------------------------------------------------

BASH = """# bash completion for aggregator(1)
_aggregator() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} name= i
  local common={common}
  # Bash splits --option=value into three words.
  [[ $cur == = ]] && cur=
  [[ $before == = ]] && before=${{COMP_WORDS[COMP_CWORD-2]}}
  COMPREPLY=()
  case $before in
{values}
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${{COMP_WORDS[i]}} in
      {valued}) [[ ${{COMP_WORDS[i+1]}} == = ]] && ((i++)); ((i++)) ;;
      -*) ;;
      *) name+=${{name:+ }}${{COMP_WORDS[i]}} ;;
    esac
  done
  case $name in
{commands}
  esac
}}
complete -F _aggregator aggregator
"""


def bash_reply(words):
    return f'mapfile -t COMPREPLY < <(compgen -W "{words}" -- "$cur")'


def bash_values(name, values):
    if values == "file":
        return f"    --{name}) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;;"
    return f"    --{name}) {'' if values == 'none' else bash_reply(values) + '; '}return ;;"


def bash_command(command):
    words = " ".join([*command.following, *map(dashed, command.options), "$common"])
    pattern = shlex.quote(command.name)
    if not command.following:
        pattern += f" | {shlex.quote(command.name + ' ')}*"
    lines = [f"    {pattern})", f"      {bash_reply(words)}"]
    if command.takes_files:
        lines.append("      [[ $cur == -* ]] || { compopt -o filenames; "
                     "mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); }")
    return "\n".join([*lines, "      ;;"])


def bash(table):
    options = valued(table)
    return BASH.format(common=shlex.quote(" ".join(map(dashed, table["options"]))),
                       values="\n".join(starmap(bash_values, options.items())),
                       valued=" | ".join(f"--{name}" for name in options),
                       commands="\n".join(map(bash_command, read(table))))


# ---- fish ---------------------------------------------------------------------------------------

FISH = """# fish completion for aggregator(1)
function __aggregator_name --description 'The words of the command line that are no options'
  set -l skip 0
  set -l words
  for word in (commandline -opc)[2..-1]
    if test $skip = 1
      set skip 0
    else if contains -- $word {valued}
      set skip 1
    else if not string match -q -- '-*' $word
      set -a words $word
    end
  end
  echo $words
end
function __aggregator_is
  string match -qr -- "^$argv[1]\\$" (__aggregator_name)
end
complete -c aggregator -f
"""


def fish_lines(command):
    more = "" if command.following else "( .*)?"
    condition = f"-n '__aggregator_is \"{command.name}{more}\"'"
    for word, text in command.following.items():
        yield f"complete -c aggregator {condition} -a {word} -d {shlex.quote(text)}"
    if command.takes_files:
        yield f"complete -c aggregator {condition} -F"
    for option in command.options:
        yield f"complete -c aggregator {condition} {fish_option(option)}"


def fish_option(option):
    values = values_of(option)
    takes = {"": "", "file": " -rF", "none": " -x"}.get(values, f" -x -a {shlex.quote(values)}")
    return f"-l {option['name']}{takes} -d {shlex.quote(option['help'])}"


def fish(table):
    lines = [f"complete -c aggregator {fish_option(option)}" for option in table["options"]]
    lines += [line for command in read(table) for line in fish_lines(command)]
    names = " ".join(f"--{name}" for name in valued(table))
    return FISH.replace("{valued}", names) + "\n".join(lines) + "\n"


# ---- zsh ----------------------------------------------------------------------------------------

ZSH = """#compdef aggregator
# zsh completion for aggregator(1)
_aggregator() {{
  local name= i
  local -a following options common
  common=({common})
  for ((i = 2; i < CURRENT; i++)); do
    case $words[i] in
      ({valued}) ((i++)) ;;
      (-*) ;;
      (*) name+=${{name:+ }}$words[i] ;;
    esac
  done
  case $name in
{commands}
  esac
  (( $#following )) && _describe -t commands command following
  _arguments $options $common
}}
_aggregator "$@"
"""


def zsh_text(text):
    """Text within the brackets of an option of _arguments."""
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def zsh_option(option):
    values = values_of(option)
    after = {"": "", "file": ":file:_files", "none": f":{zsh_text(option['value'] or '')}: "}
    takes = after.get(values, f":value:({values})")
    return shlex.quote(f"--{option['name']}{'=' if values else ''}[{zsh_text(option['help'])}]{takes}")


def zsh_command(command):
    name = shlex.quote(command.name)
    pattern = f"({name})" if command.following else f"({name}|{shlex.quote(command.name + ' ')}*)"
    following_words = " ".join(shlex.quote(f"{word}:{text}") for word, text in command.following.items())
    rest = [shlex.quote("*:file:_files" if command.takes_files else "*: : ")]
    options = " ".join([*map(zsh_option, command.options), *rest])
    return f"    {pattern}\n      following=({following_words})\n      options=({options}) ;;"


def zsh(table):
    return ZSH.format(common=" ".join(map(zsh_option, table["options"])),
                      valued="|".join(f"--{name}" for name in valued(table)),
                      commands="\n".join(map(zsh_command, read(table))))


SHELLS = {"bash": bash, "fish": fish, "zsh": zsh}
