/* Handlers give the same results compiled, where they read and merge over the FFI, and interpreted:
 * the same merges, tags and errors, byte for byte. */
#include "scripts.h"
#include "view/merge.h"

#define ROUNDS 300 /* LuaJIT compiles after some dozens */

static struct err err;

/* One state, and what its last call came to. */
struct side {
    struct scripts scripts;
    struct script_generation *generation;
    struct script_instance *instance;
    struct merge *merge;
    struct arena *arena;
    struct buffer said;
};

static const char declared_view[] =
    "return { { name = 'rows', key = { { 'id', 'text' } }, groups = {"
    "  { name = 'all', rule = 'latest', columns = { { 'word', 'text' }, { 'link', 'id' },"
    "    { 'whole', 'integer' }, { 'share', 'double' }, { 'flag', 'boolean' },"
    "    { 'moment', 'timestamp' }, { 'doc', 'json' }, { 'huge', 'bigint' }, { 'run', 'uuid' },"
    "    { 'day', 'date' } } },"
    "  { name = 'tags', rule = 'set', columns = { { 'tags', 'text[]' } } },"
    "  { name = 'votes', rule = 'count', columns = { { 'votes', 'integer' } } },"
    "  { name = 'many', rule = 'latest', columns = { { 'words', 'text[]' } } } } },"
    "  { name = 'typed', key = { { 'id', 'uuid' } }, groups = {"
    "    { name = 'g', rule = 'first', columns = { { 'n', 'bigint' } } } } },"
    "  { name = 'days', key = { { 'id', 'date' } }, groups = {"
    "    { name = 'g', rule = 'first', columns = { { 'n', 'bigint' } } } } },"
    "  { name = 'pairs', key = { { 'a', 'text' }, { 'b', 'text' } }, groups = {"
    "    { name = 'g', rule = 'first', columns = { { 'n', 'integer' } } } } } }";

static const char declared_fields[] =
    "fields = { case = 'data.case', id = 'data.id', hidden = { 'data.id', check_only = true },"
    " whole = { 'data.whole', type = 'integer', optional = true },"
    " share = { 'data.share', type = 'number', optional = true },"
    " flag = { 'data.flag', type = 'boolean', optional = true },"
    " moment = { 'data.moment', type = 'timestamp', optional = true },"
    " doc = { 'data.doc', type = 'json', optional = true },"
    " object = { 'data.doc', type = 'object', optional = true },"
    " huge = { 'data.huge', type = 'bigint', optional = true },"
    " day = { 'data.day', type = 'date', optional = true },"
    " run = { 'data.run', type = 'uuid', optional = true },";
/* With a list, C fills a handler's events. */
static const char declared_lists[] =
    " words = { 'data.words', type = 'strings', optional = true },"
    " items = { 'data.items', type = 'list', optional = true, fields = { name = 'name',"
    "   n = { 'n', type = 'integer', optional = true }, w = { 'w', check_only = true,"
    "   optional = true } } }";

/* Cases: bodies of functions (event, view, kept). `kept` lives from event to event. */
static const char *const bodies[] = {
    "view.rows:merge(event.id, 'all', { word = event.case, link = event.id, whole = event.whole,"
    " share = event.share, flag = event.flag, moment = event.moment, doc = event.doc })",
    "view.rows:merge(event.id, 'all', { flag = event.object, word = event.run })",
    "view.rows:merge(event.id, 'all', { huge = event.huge, run = event.run, day = event.day })",
    "view.rows:merge(event.id, 'all', { word = tostring(event.huge) .. type(event.huge) })",
    "view.rows:merge(event.id, 'all', { huge = -0, run = event.run and event.run:upper() })",
    "view.rows:merge(event.id, 'all', { huge = 2 ^ 53 })",
    "view.typed:merge(event.run or 'x', 'g', { n = 1 })",
    "view.days:merge(event.day or '2025-06-31', 'g', { n = event.huge })",
    "view.rows:merge(event.id, 'all', { huge = '1x' })",
    "view.rows:merge(event.id, 'all', { run = 'x' })",
    "view.rows:merge(event.id, 'all', { day = '2025-02-30' })",
    "view.rows:merge(event.id, 'tags', { tags = event.id })",
    "view.rows:merge(event.id, 'votes', { votes = event.huge or event.id })",
    "view.rows:merge(event.id, 'all', { flag = not event.flag, share = -0.0 })",
    "view.rows:merge(event.id, 'all', { word = null, whole = null, flag = null, moment = null })",
    "view.rows:merge(event.id, 'all', {})",
    "view.rows:merge(event.id, 'all', { word = '' }) view:touch(event.id) view:touch('')",
    "view.rows:merge(event.id, 'all', { word = event.id; whole = #event.id, })",
    "view.rows:merge(event.id, 'all', { word = ('x'):rep(event.whole or 1) })",
    "view.rows:merge(event.id, 'all', { link = ('x'):rep(1025) })",
    "view.rows:merge(('x'):rep(1025), 'all', { word = 'x' })",
    "view.rows:merge(event.id, 'all', { word = 'a\\0b' })",
    "view.rows:merge(event.id, 'all', { word = 'a\\255' })",
    "view.rows:merge(event.id, 'all', { word = 'ähnlich €' })",
    "view.rows:merge(event.id, 'all', { word = 1 })",
    "view.rows:merge(event.id, 'all', { whole = 'x' })",
    "view.rows:merge(event.id, 'all', { whole = 1.5 })",
    "view.rows:merge(event.id, 'all', { whole = 2 ^ 31 })",
    "view.rows:merge(event.id, 'all', { share = 0 / 0 })",
    "view.rows:merge(event.id, 'all', { share = 1 / 0 })",
    "view.rows:merge(event.id, 'all', { moment = 1e18 })",
    "view.rows:merge(event.id, 'all', { moment = 0.5 })",
    "view.rows:merge(event.id, 'all', { flag = 1 })",
    "view.rows:merge(event.id, 'all', { doc = {} })",
    "view.rows:merge(event.id, 'all', { word = 'x', wort = 'y' })",
    "view.rows:merge(event.id, 'all', { word = 'x', [1] = 'y' })",
    "view.rows:merge(event.id, 'all', { 'x' })",
    "local t = { word = 'x' } view.rows:merge(event.id, 'all', t)",
    "local t = { word = 'x', [true] = 1 } view.rows:merge(event.id, 'all', t)",
    "view.rows:merge(event.id, 'al', { word = 'x' })",
    "view.row:merge(event.id, 'all', { word = 'x' })",
    "view.rows:merge(nil, 'all', { word = 'x' })",
    "view.rows:merge(7, 'all', { word = 'x' })",
    "view.rows:merge({ event.id }, 'all', { word = 'x' })",
    "view.rows.merge(event.id, 'all', { word = 'x' })",
    "view.rows:merge(event.id, 'all', { word = 'x' }, 1)",
    "view.rows:merge(event.id, 'all')",
    "view.rows:merge(event.id, 'many', { words = event.words })",
    "view.pairs:merge({ event.id, 'b' }, 'g', { n = event.whole })",
    "local rows = view.rows rows:merge(event.id, 'all', { word = 'x' })",
    "view.rows:merge((function() return event.id end)(), 'all',\n{ word = (function(a, b) return"
    " b end)(1, event.id) })",
    "view.rows:merge(event.id, 'all', { word = (function() view.rows:merge(event.id .. 2, 'all',"
    " { word = 'in' }) return 'out' end)() })",
    "do local view = { rows = { merge = function(_, ...) kept.n = select('#', ...) end } }"
    " view.rows:merge(event.id, 'all', { word = 'x' }) end"
    " view.rows:merge(event.id, 'all', { whole = kept.n })",
    "pcall(function() view.rows:merge(event.id, 'all', { word = 1 }) end)"
    " view.rows:merge(event.id, 'all', { word = 'after' })",
    "view.rows:merge(event.id, 'all', { word = 'staged' }) error('no')",
    "view.rows:merge(event.id, 'all', { word = 'x' }) return 'ignored'",
    "return 1",
    "local x = event.wole",
    "local x = event.hidden",
    "event.id = 'x'",
    "view.rows = 1",
    "for _, item in ipairs(event.items or {}) do view.rows:merge(item.name, 'all',"
    " { whole = item.n }) view:touch(item.name) end",
    "local x = event.items and event.items[1] and event.items[1].nam",
    "local x = event.items and event.items[1] and event.items[1].w",
    "if event.words then event.words[1] = 'changed' view.rows:merge(event.id, 'all',"
    " { word = event.words[1], flag = event.words == event.words }) end",
    "local n = 0 for _ in pairs(event) do n = n + 1 end view.rows:merge(event.id, 'all',"
    " { whole = n, word = tostring(event), flag = rawget(event, 'id') == nil })",
    "view.rows:merge(event.id, 'all', { moment = event.moment, word = event.case, share = 1 })",
    "view.rows:merge(event.id, 'all', { word = 'a', word = 'b' })",
    "view.rows:merge(event.id, 'all', { word = 'a', })",
    "view.rows:merge(event.id, -- key, 'all'\n'all' --[[ , { ]],\n{\n-- word = 'c',\n"
    "word = event.case, -- two\n\nwhole = #event.id -- }\n,\n}\n) error('the line')",
    "view.rows:merge(event.id, 'all', {\nword = event.case,\nwhole = event.hole\n})",
    "view.rows:merge(event.id, 'all', { flag = function() local word, whole = 1, 2 end })",
    "view.rows:merge(event.id, 'all', { word = (event.id), whole = select(1, 3, 4) })",
    "local function none() end view.rows:merge(event.id, 'all', { word = none(), whole = none() })",
    "local function two() return 'a', 'b' end view.rows:merge(event.id, 'all', { word = two(),"
    " doc = two() })",
    "do local all = view local view = { rows = all.pairs } view.rows:merge(event.id, 'all',"
    " { word = 'x' }) end",
    "do local all = view local view = { pairs = all.rows } view.pairs:merge(event.id, 'g',"
    " { n = 1 }) end",
    "do local view = { rows = { merge = function(_, _, _, t) kept.t = t end } }"
    " view.rows:merge(event.id, 'all', { word = null, flag = true }) end"
    " view.rows:merge(event.id, 'all', { flag = kept.t.flag and kept.t.word == null })",
    "local t = { view = view } t.view.rows:merge(event.id, 'all', { word = 'x' })",
    "local f = function() return view.rows:merge(event.id, 'all', { word = 'x' }) end"
    " view.rows:merge('n', 'all', { whole = select('#', f()) })",
    "view.touch(event.id)",
    "view:touch(1)",
    "view:touch(event.id, 'more')",
    "for i = 1, 3 do view.rows:merge(event.id .. i, 'all', { whole = i }) end",
    "for i = 1, 40 do view.rows:merge(event.id .. i, 'all', { word = ('y'):rep(1000) }) end",
    "for i = 1, 40 do pcall(function() view.rows:merge(event.id .. i, 'all',"
    " { word = ('y'):rep(1000) }) end) end",
    "view.rows:merge(event.id, 'all', { word = event.doc and event.doc .. event.run or 'none' })",
    "view.rows:merge(event.run, 'all', { word = event.run, link = event.day, doc = event.run })",
    "view.typed:merge(event.run, 'g', { n = event.whole })",
    "view.typed:merge(event.id, 'g', { n = event.id })",
    "view.days:merge(event.day, 'g', { n = event.huge })",
    "view.rows:merge(event.whole, 'all', { word = event.whole })",
    "view.rows:merge(event.id, 'all', { word = event.whole })",
    "view.rows:merge(event.id, 'all', { whole = event.id, word = event.doc })",
    "view.rows:merge(event.id, 'all', { flag = event.doc, word = event.id })",
    "view.rows:merge(event.id, 'all', { run = event.id, word = event.id })",
    "view.rows:merge(event.id, 'all', { day = event.day, run = event.id })",
    "view.rows:merge(event.id, 'all', { word = event.hidden })",
    "view.rows:merge(event.id, 'all', { word = event.doc,\n link = event.idd\n})",
    "view.rows:merge(event.missing, 'all', { word = error('later') })",
    "view.rows:merge(event.id, 'all', { word = event.id, link = error('then') })",
    "view.rows:merge(event.event_id, 'all', { word = event.event_type, doc = event.object })",
    "do local event = { id = 'own', x = 1 } view.rows:merge(event.id, 'all', { word = event.id,"
    " whole = event.x, link = event.none }) end",
    "do local event view.rows:merge('id', 'all', { word = event.id }) end",
    "do local event = 'abc' view.rows:merge('id', 'all', { word = event.id, doc = event.sub }) end",
    "kept.event = kept.event or { id = 'kept' } local event = kept.event"
    " view.rows:merge(event.id, 'all', { word = event.id })",
    "event = { id = 'other' } view.rows:merge(event.id, 'all', { word = event.id })",
    "local get = function() return event end view.rows:merge(get().id, 'all', { word = get().id,"
    " link = (event).id, doc = event['id'], flag = event.id == 'x' })",
    "local f = function() view.rows:merge(event.id, 'all', { word = event.id }) end f() f()",
    "view.rows:merge( --[[ key ]]\nevent.id, 'all',\n{ word = -- text\nevent.id\n, link = event"
    " .id, doc = event. id })",
    "do local view = { rows = { merge = function(_, key, _, t) kept.t = { key, t.word } end } }"
    " view.rows:merge(event.id, 'all', { word = event.doc }) end"
    " view.rows:merge(kept.t[1], 'all', { word = kept.t[2] })",
    "for i = 1, 40 do view.rows:merge(event.id, 'all', { word = event.doc, link = event.id,"
    " doc = event.run }) end for i = 1, 400 do view.rows:merge(event.id .. i, 'all',"
    " { word = event.id, link = event.run }) end",
};
#define BODIES (sizeof bodies / sizeof *bodies)

static void side_open(struct side *side, bool compiled, bool lists) {
    struct buffer handler = {0};
    scripts_compile = compiled;
    scripts_begin(&side->scripts);
    side->scripts.config.ingest.event_max_merge_bytes = 24 * 1024;
    scripts_write(&side->scripts, "view.lua", "%s", declared_view);
    buffer_append_text(&handler, "local null, kept, cases = require('json').null, {}, {}\n");
    for (size_t i = 0; i < BODIES; i++) {
        buffer_append_format(&handler, "cases['%zu'] = function(event, view) %s end\n", i,
                             bodies[i]);
    }
    buffer_append_format(&handler,
                         "return { topics = { 't' }, %s %s }, handle = function(event, view)\n"
                         "local result = cases[event.case](event, view) return result end }",
                         declared_fields, lists ? declared_lists : "");
    scripts_write(&side->scripts, "handlers/t.lua", "%s", handler.data);
    buffer_free(&handler);
    side->instance = scripts_load(&side->scripts, &side->generation);
    side->merge = merge_create(script_generation_view(side->generation));
    side->arena = arena_create(4096);
}

static void side_close(struct side *side) {
    script_instance_destroy(side->instance);
    script_generation_unref(side->generation);
    scripts_end(&side->scripts);
    merge_destroy(side->merge);
    arena_destroy(side->arena);
    buffer_free(&side->said);
}

static void side_say_value(struct side *side, enum view_type type, const struct view_value *value) {
    if (value->is_null) {
        buffer_append_text(&side->said, " null");
    } else if (type == VIEW_DOUBLE) {
        buffer_append_format(&side->said, " %a", value->as.number);
    } else if (!view_is_bytes(type)) {
        buffer_append_format(&side->said, " %lld", (long long)value->as.integer);
    } else {
        buffer_append_format(&side->said, " %zu:", value->as.text.len);
        buffer_append_slice(&side->said, value->as.text);
    }
}

static void side_say_merges(struct side *side) {
    const struct view *view = script_generation_view(side->generation);
    struct merge_op op;
    struct merge_version version;
    for (size_t i = 0; merge_staged(side->merge, i, &op, &version); i++) {
        const struct view_table *table = &view->tables[op.table];
        buffer_append_format(&side->said, "\n%s %s:", table->name, table->groups[op.group].name);
        for (size_t k = 0; k < table->key_count; k++) {
            side_say_value(side, table->key[k].type, &op.key[k]);
        }
        for (size_t c = 0; c < table->groups[op.group].column_count; c++) {
            side_say_value(side, table->groups[op.group].columns[c].type, &op.values[c]);
        }
    }
}

/* Runs the event, and notes all that it came to. */
static const char *side_handle(struct side *side, const char *document) {
    err_clear(&err);
    buffer_clear(&side->said);
    arena_reset(side->arena);
    merge_reset(side->merge, script_generation_view(side->generation));
    enum script_result result =
        script_handle(side->instance, 0, scripts_event(side->generation, side->arena, document),
                      side->merge, &err);
    char *path;
    while ((path = strstr(err.text, side->scripts.folder))) { /* the two differ */
        memset(path, '_', strlen(side->scripts.folder));
    }
    buffer_append_format(&side->said, "%d %s, %zu bytes", (int)result, err.text,
                         result == SCRIPT_OK ? merge_staged_bytes(side->merge) : 0);
    side_say_merges(side);
    merge_accept(side->merge, 0);
    size_t tags;
    const uint64_t *tag = merge_tags(side->merge, &tags);
    for (size_t i = 0; i < tags; i++) {
        buffer_append_format(&side->said, " #%llx", (unsigned long long)tag[i]);
    }
    return side->said.data;
}

/* The round decides which optional fields the event has. */
static const char *event_of(size_t body, unsigned round, char *document, size_t cap) {
    static const char *const optional[] = {
        ",\"whole\":12",
        ",\"share\":0.25",
        ",\"flag\":true",
        ",\"moment\":\"2025-06-28T08:00:00.123456Z\"",
        ",\"doc\":{\"a\":[1,2]}",
        ",\"run\":\"89ABCDEF-4567-89ef-0123-456789abcdef\"",
        ",\"huge\":-9007199254740993",
        ",\"day\":\"2025-06-28\"",
        ",\"words\":[\"x\",\"y\"]",
        ",\"items\":[{\"name\":\"p\",\"n\":3},{\"name\":\"q\",\"w\":\"z\"}]",
    };
    size_t len = (size_t)snprintf(
        document, cap,
        "{\"event_id\":\"0123abcd-4567-89ef-0123-456789abcdef\",\"event_type\":\"t\","
        "\"source_service\":\"s\",\"event_timestamp\":\"2025-06-28T08:00:00Z\","
        "\"data\":{\"case\":\"%zu\",\"id\":\"essay-%u\"",
        body, round % 7);
    for (unsigned i = 0; i < sizeof optional / sizeof *optional; i++) {
        bool has = round % 3 != 0 && (round * 2654435761u >> (8 + i)) % 2 == 0;
        len += (size_t)snprintf(document + len, cap - len, "%s",
                                round % 3 == 0 || has ? optional[i] : "");
    }
    snprintf(document + len, cap - len, "}}");
    return document;
}

static void compare_sides(bool lists) {
    static struct side interpreted, compiled;
    char document[1024];
    side_open(&interpreted, false, lists);
    side_open(&compiled, true, lists);
    for (size_t body = 0; body < BODIES && !test_failed; body++) {
        for (unsigned round = 0; round < ROUNDS && !test_failed; round++) {
            event_of(body, round, document, sizeof document);
            const char *expected = side_handle(&interpreted, document);
            const char *got = side_handle(&compiled, document);
            if (strcmp(expected, got) != 0) {
                TEST_FAIL("%s, round %u:\ninterpreted %s\ncompiled %s", bodies[body], round,
                          expected, got);
            }
        }
    }
    side_close(&interpreted);
    side_close(&compiled);
    interpreted = compiled = (struct side){0};
}

static void handlers_give_the_same_compiled_and_interpreted(void) {
    compare_sides(false);
    compare_sides(true);
}

static const struct test_case cases[] = {
    {"handlers give the same compiled and interpreted",
     handlers_give_the_same_compiled_and_interpreted},
};

TEST_MAIN(cases)
