"""Checks the sources: only bindings/ calls client libraries. Needs no server."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = re.compile(
    r"\brd_kafka_\w+|\bPQ[a-z]\w+|\bPG(?:result|conn)\b|\bcurl_\w+\(|\bCURL\w*\b"
    r"|\bredis(?:Command|Append|Connect|Async|Buffer|Get|Set|Reader|Free)\w*\b|\bredisContext\b"
    r"|\bsd_[a-z]\w+\(|\bSSL_\w+\(|\bX509_\w+\(|\bEVP_\w+|\bCRYPTO_\w+|\bdeflate\w*\("
    r"|#include <(?:librdkafka/|libpq|hiredis/|curl/|openssl/|histedit|systemd/|zlib)")


def test_the_host_calls_no_client_library():
    """Kafka, Postgres, Redis, HTTP, TLS, the service manager and the terminal's line editor are known to bindings/ alone."""
    found = [f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
             for path in sorted((ROOT / "host").rglob("*.[ch]"))
             for number, line in enumerate(path.read_text().splitlines(), 1)
             if LIBRARY.search(line)]
    assert not found, "\n".join(found)


def test_the_host_knows_no_word_of_the_service():
    """Its errors and examples speak to the authors of every service."""
    words = re.compile(r"essay|batch_id|huleedu|spellcheck|teacher|assessment|overall_status|api:batch", re.I)
    found = [f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
             for path in sorted((ROOT / "host").rglob("*.*")) if path.suffix in (".c", ".h", ".lua", ".sql")
             for number, line in enumerate(path.read_text().splitlines(), 1) if words.search(line)]
    assert not found, "\n".join(found)


def test_no_state_has_all_libraries_and_the_compiler():
    """Compiled code runs no hook, so no time limit, and a hardened service cannot make any."""
    callers = {str(path.relative_to(ROOT)) for folder in ("host", "bindings")
               for path in (ROOT / folder).rglob("*.c") if "luaL_openlibs(" in path.read_text()}
    assert callers == {"host/base/lua_job.c"}
