/* types: editor definitions of a generation's declarations. */
#include "check/types.h"
#include "scripts.h"

static const char view[] =
    "return { { name = 'essays', key = { { 'id', 'text' }, { 'content_id', 'content' } },\n"
    "content = 'said', groups = {\n"
    "{ name = 'said', rule = 'latest', columns = { { 'word', 'text' }, { 'ranks', 'integer[]' } } "
    "},\n"
    "{ name = 'again', rule = 'first', columns = {} } } },\n"
    "{ name = 'pairs', key = { { 'one', 'text' }, { 'other', 'text' } }, groups = {\n"
    "{ name = 'state', rule = 'first', columns = { { 'status', 'my_enum' } } } } },\n"
    "{ name = 'typed', key = { { 'id', 'uuid' }, { 'n', 'bigint' } }, groups = {\n"
    "{ name = 'tags', rule = 'set', columns = { { 'tags', 'id[]' } } },\n"
    "{ name = 'numbers', rule = 'set', columns = { { 'numbers', 'bigint[]' } } },\n"
    "{ name = 'votes', rule = 'count', columns = { { 'votes', 'integer' } } },\n"
    "{ name = 'all', rule = 'latest', columns = { { 'n2', 'bigint' }, { 'day', 'date' },\n"
    "{ 'links', 'uuid[]' } } } } } }";
static const char handler[] =
    "return { topics = 't', fields = {\n"
    "id = 'data.id', kind = { 'data.kind', enum = { x = 'B', y = 'A', z = 'B' } },\n"
    "checked = { 'data.checked', check_only = true },\n"
    "count = { 'data.count', type = 'integer', optional = true },\n"
    "late = { 'data.late', type = 'number', required_if = 'count' },\n"
    "items = { 'data.items', type = 'list', fields = { rank = { 'rank', type = 'integer' } } },\n"
    "}, handle = function() end }";

/* The definitions of a folder that has these and a query, compared with nothing yet. */
static struct buffer definitions_of(const char *query) {
    struct scripts scripts;
    struct buffer text = {0};
    struct err err = {0};
    scripts_begin(&scripts);
    scripts_make_folder(&scripts, "handlers/first");
    scripts_write(&scripts, "view.lua", "%s", view);
    scripts_write(&scripts, "handlers/first/said.lua", "%s", handler);
    scripts_write(&scripts, "queries/find.sql", "%s", query);
    struct script_generation *generation = script_generation_load(&scripts.config, 1, &err);
    CHECK_OK(generation != NULL, &err);
    if (generation && !script_types(generation, &text, &err)) {
        buffer_clear(&text);
        buffer_append_format(&text, "failed: %s", err.text);
    }
    script_generation_unref(generation);
    scripts_end(&scripts);
    return text;
}

static void check_has(const char *part) {
    struct buffer text = definitions_of("SELECT :id::text, :at");
    CHECK_HAS(text.data, part);
    buffer_free(&text);
}

static void groups(void) {
    check_has("---@class view.essays.said\n"
              "---@field word? string text\n"
              "---@field ranks? (integer|json.Null)[] integer[]\n");
    check_has("---@field status? string my_enum\n");
    check_has("---@field tags? string|string[] text[]\n");
    check_has("---@field numbers? integer|string|(integer|string)[] bigint[]\n");
    check_has("---@field votes? string|integer|(string|integer)[] uuid[]\n");
    check_has("---@field n2? integer|string bigint\n---@field day? string date\n"
              "---@field links? (string|json.Null)[] uuid[]\n");
    check_has("key: (string|integer)[], group: \"votes\", columns: view.typed.votes)\n");
}

static void merges(void) {
    check_has("---@class view.essays: ViewTable\n"
              "---@field merge fun(self: view.essays, key: string|string[], group: \"said\", "
              "columns: view.essays.said)\n"
              "---@field merge fun(self: view.essays, key: string|string[], group: \"again\", "
              "columns: view.essays.again)\n");
    check_has("---@field merge fun(self: view.pairs, key: string[], group: \"state\", ");
    check_has("---@class View\n---@field essays view.essays\n---@field pairs view.pairs\n");
}

static void events(void) {
    check_has("---@class handlers.first.said.Event: Event\n"
              "---@field event_type string event_type\n"
              "---@field count? integer data.count\n"
              "---@field id string data.id\n"
              "---@field items { rank: integer }[] data.items\n"
              "---@field kind \"A\"|\"B\" data.kind\n"
              "---@field late? number data.late\n"
              "\n"
              "---@class handlers.first.said: Handler\n"
              "---@field handle fun(event: handlers.first.said.Event, view: View): "
              "\"ignored\"?\n");
}

static void queries(void) {
    check_has("---@class sql.find\n---@field id any\n---@field at any\n");
    check_has("---@class pg\n"
              "---@field query fun(name: \"find\", params?: sql.find): sql.find.Rows?, Failure\n");
    check_has("---@field each fun(name: \"find\", params: sql.find, visit: fun(row: "
              "sql.find.Row)): integer?, Failure\n");
    check_has("---@class pg.Transaction\n---@field query fun(name: \"find\", ");
}

static void check_row(const char *query, const char *fields) {
    struct buffer wanted = {0}, text = definitions_of(query);
    buffer_append_format(&wanted,
                         "---@class sql.find.Row\n%s\n---@class sql.find.Rows: pg.Rows\n"
                         "---@field [integer] sql.find.Row\n",
                         fields);
    CHECK_HAS(text.data, wanted.data);
    buffer_free(&wanted);
    buffer_free(&text);
}

static void columns(void) {
    check_row("SELECT e.word, e.ranks AS places, p.one key, e.id::uuid, count(*), sum(1)::bigint "
              "FROM essays AS e JOIN pairs p ON true",
              "---@field word string\n---@field places (integer|json.Null)[]\n"
              "---@field key string\n---@field id string\n---@field count integer\n"
              "---@field sum integer\n");
    check_row(
        "WITH x AS (SELECT a, b FROM c) SELECT DISTINCT ON (y) 'a, b' /* FROM */ AS \"Text\", "
        "a IS DISTINCT FROM b AS other, (SELECT 1 FROM d)::double precision AS share, "
        "CASE WHEN y THEN 1 END, x.ids::text[] ids FROM x",
        "---@field Text any\n---@field other any\n---@field share number\n"
        "---@field ids (string|json.Null)[]\n");
    check_row("INSERT INTO t SELECT a FROM b RETURNING t.id::int, essays.word",
              "---@field id integer\n---@field word string\n");
    check_row("SELECT '{' || :limit::int || '}' AS body, :at::int8 AS at, :from::text FROM pairs",
              "---@field body any\n---@field at integer\n");
    check_row("SELECT e.*, 1 AS one FROM essays e", "---@field [string] any\n");
    check_row("DELETE FROM essays", "---@field [string] any\n");
}

static const struct test_case cases[] = {
    {"a group has its columns, of the types that merge takes", groups},
    {"a table takes each group with its own columns", merges},
    {"an event has the fields that scripts see", events},
    {"a query has its parameters", queries},
    {"a row has the columns that its query names", columns},
};
TEST_MAIN(cases)
