"""Two generations of the service's scripts that differ in a mark, A or B, in everything that has a
part in an answer or a row: so that a mixture of the two shows."""
import shutil

import stack

MARKS = ("A", "B")
# Of an answer: the route, a module that it requires, one that this requires, the query.
ANSWER_PARTS = 4
# Of a row: the handler, and the module that it requires.
ROW_PARTS = 2
SIGN = 'generation.sign(rows[1].body, "{mark}", rows[1].generation)'
SQL_MARK = "'{mark}' AS generation"

# (file, what stands there, what shall stand there)
EDITS = (
    ("scripts/routes/batch_status.lua", "body = rows[1].body", f"body = {SIGN}"),
    ("scripts/routes/user_batches.lua", "body = rows[1].body", f"body = {SIGN}"),
    ("scripts/routes/batch_status.lua", 'local pg = require("pg")',
     'local generation = require("lib.generation")\nlocal pg = require("pg")'),
    ("scripts/routes/user_batches.lua", 'local pg = require("pg")',
     'local generation = require("lib.generation")\nlocal pg = require("pg")'),
    ("sql/queries/batch_status.sql", "SELECT body, tags FROM",
     f"SELECT body, tags, {SQL_MARK} FROM"),
    ("sql/queries/user_batches.sql", "|| '}}' AS body", "|| '}}' AS body, " + SQL_MARK),
    ("scripts/handlers/spellcheck_result.lua", "error_code = event.error_code }",
     'error_code = event.error_code, mark = "{mark}" }'),
    ("scripts/lib/spellchecks.lua", "not_empty(event.corrected_text_id)",
     '(stated.mark or "") .. "{mark}"'),
)
FILES = {
    "scripts/lib/generation.lua": """local inner = require("lib.generation_inner")
local M = {}
function M.sign(body, route, query)
  local marks = route .. "{mark}" .. inner.MARK .. query
  return body:sub(1, -2) .. ',"generation":"' .. marks .. '"}'
end
return M
""",
    "scripts/lib/generation_inner.lua": 'return { MARK = "{mark}" }\n',
}


def tail(mark):
    """How an answer ends that is of one generation."""
    return f'"generation":"{mark * ANSWER_PARTS}"}}'


def row_mark(mark):
    """What a row has in spellcheck_corrected_text_storage_id that is of one generation."""
    return mark * ROW_PARTS


class Generations:
    """A folder with both, and which of them stands on the disk: a link, changed at once."""

    def __init__(self, folder):
        self.folder = folder
        for mark in MARKS:
            self.write(mark)
        self.current = folder / "current"
        self.env = {"SCRIPTS_ROOT": str(self.current / "scripts"),
                    "SQL_ROOT": str(self.current / "sql")}
        self.use(MARKS[0])

    def write(self, mark):
        root = self.folder / mark
        for name in ("scripts", "sql"):
            shutil.copytree(stack.ROOT / name, root / name)
        for file, old, new in EDITS:
            path = root / file
            text = path.read_text()
            assert text.count(old) == 1, f"{old} in {file}"
            path.write_text(text.replace(old, new.replace("{mark}", mark)))
        for file, text in FILES.items():
            (root / file).write_text(text.replace("{mark}", mark))

    def use(self, mark):
        fresh = self.folder / "next"
        fresh.symlink_to(mark)
        fresh.rename(self.current)
        self.mark = mark

    def use_other(self):
        self.use(MARKS[self.mark == MARKS[0]])
