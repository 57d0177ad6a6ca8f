/* Replays are deterministic: with other string hashes, addresses, garbage and earlier events, and
 * compiled or interpreted, each event gives the same verdict and merges, byte for byte. */
#include <libgen.h>

#include "author/samples.h"
#include "pipeline/dry_run.h"
#include "scripts.h"

#define STATES 8      /* each has another seed for its strings' hashes */
#define ROUNDS_HOT 12 /* over all samples: functions are compiled after some dozens of calls */
#define ROUNDS_REACTIONS 600
#define GARBAGE                                                                                    \
    "{\"event_id\":\"fedcba98-4567-89ef-0123-456789abcdef\",\"event_type\":\"t\","                 \
    "\"source_service\":\"s\",\"event_timestamp\":\"2025-06-29T08:00:00Z\",\"data\":{\"id\":"      \
    "\"garbage\",\"word\":\"other\"}}"

static struct scripts scripts;
static struct script_generation *generation;
static struct script_generation *compiled_generation;
static struct err err;

static void append_slice(struct buffer *out, struct slice text) {
    buffer_append_format(out, "%zu:", text.len);
    buffer_append(out, text.data, text.len);
}

static void append_value(struct buffer *out, enum view_type type, const struct view_value *value) {
    if (value->is_null) {
        buffer_append_text(out, "null");
    } else if (type == VIEW_DOUBLE) {
        buffer_append_format(out, "%a", value->as.number);
    } else if (!view_is_bytes(type)) {
        buffer_append_format(out, "%lld", (long long)value->as.integer);
    } else {
        append_slice(out, value->as.text);
    }
    buffer_append_text(out, " ");
}

/* All that an event came to. */
static void append_outcome(struct buffer *out, const struct dry_run_outcome *outcome) {
    buffer_append_format(out, "state %d: ", (int)outcome->event->state);
    if (outcome->event->state == EVENT_REJECTED) {
        append_slice(out, outcome->event->detail);
    }
    for (size_t i = 0; i < outcome->merge_count; i++) {
        const struct merge_op *op = &outcome->merges[i].op;
        const struct view_table *table = &outcome->view->tables[op->table];
        buffer_append_format(out, "\n%s %s: ", table->name, table->groups[op->group].name);
        for (size_t k = 0; k < table->key_count; k++) {
            append_value(out, table->key[k].type, &op->key[k]);
        }
        buffer_append_text(out, " = ");
        for (size_t c = 0; c < table->groups[op->group].column_count; c++) {
            append_value(out, table->groups[op->group].columns[c].type, &op->values[c]);
        }
    }
    buffer_append_text(out, "\n");
}

static void handle(struct dry_run *dry_run, const char *topic, struct slice payload,
                   struct buffer *out) {
    struct dry_run_outcome outcome;
    size_t at = partitions_find(&dry_run->pipeline.partitions, topic, 0);
    struct log_record message = {.partition = at, .payload = payload};
    dry_run_clear(dry_run);
    if (at != PARTITION_NONE && dry_run_handle(dry_run, &message, &outcome, &err)) {
        append_outcome(out, &outcome);
    }
}

static void open_dry_run(struct dry_run *dry_run, struct script_generation *of) {
    size_t count;
    const struct script_handler *handlers = script_generation_handlers(of, &count);
    CHECK_OK(dry_run_open(dry_run, of, "a test", NULL, &err), &err);
    for (size_t i = 0; i < count; i++) {
        for (size_t t = 0; t < handlers[i].topic_count; t++) {
            dry_run_add_partition(dry_run, handlers[i].topics[t], 0, (int)i);
        }
    }
}

/* The scripts interpreted, and compiled. */
static void load_generations(struct config *config) {
    config->scripts.compile = false;
    generation = script_generation_load(config, 1, &err);
    CHECK_OK(generation != NULL, &err);
    static struct config compiled;
    compiled = *config;
    compiled.refs = 1; /* owned by the test: never freed */
    compiled.scripts.compile = true;
    compiled_generation = script_generation_load(&compiled, 2, &err);
    CHECK_OK(compiled_generation != NULL, &err);
}

static void unload_generations(void) {
    script_generation_unref(generation);
    script_generation_unref(compiled_generation);
}

/* ---- handlers that look for chance ---------------------------------------------------------- */

/* The result of a handler that merges `expression` as word is the same in each state, and has
 * `wanted`. */
static void is_the_same(const char *body, const char *wanted) {
    struct buffer first = {0};
    scripts_begin(&scripts);
    scripts.config.ingest.batch_max_merge_bytes = 64 * 1024 * 1024;
    scripts.config.ingest.batch_max_events = 100;
    scripts.config.ingest.batch_max_bytes = 64 * 1024 * 1024;
    scripts.config.ingest.breaker_window_events = 100;
    scripts.config.ingest.breaker_share_percent = 100;
    scripts_write(&scripts, "handlers/t.lua",
                  "local history = {}\n"
                  "return { topics = 't', fields = { id = 'data.id', text = 'data.word' },\n"
                  "handle = function(event, view)\n"
                  "if event.id == 'garbage' then for i = 1, 50 do history[#history + 1] = "
                  "{ [event.text .. i .. #history] = function() end } end return end\n"
                  "local function handle() %s end\n"
                  "view.things:merge(event.id, 'said', { word = handle() })\nend }",
                  body);
    load_generations(&scripts.config);
    for (int state = 0; generation && state < STATES; state++) {
        struct dry_run dry_run;
        struct buffer ignored = {0}, out = {0};
        open_dry_run(&dry_run, state % 2 ? compiled_generation : generation);
        for (int i = 0; i < state; i++) {
            handle(&dry_run, "t", slice_of(GARBAGE), &ignored);
        }
        handle(&dry_run, "t", slice_of(SCRIPTS_EVENT), &out);
        buffer_append(&out, "", 1);
        if (state == 0) {
            first = out;
        } else if (first.len != out.len || memcmp(first.data, out.data, out.len) != 0) {
            TEST_FAIL("%s: \"%s\", and in another state \"%s\"", body, first.data, out.data);
        }
        if (state > 0) {
            buffer_free(&out);
        }
        buffer_free(&ignored);
        dry_run_close(&dry_run);
    }
    if (!first.data || !strstr(first.data, wanted)) {
        TEST_FAIL("%s: \"%s\" has no \"%s\"", body, first.data ? first.data : "", wanted);
    }
    buffer_free(&first);
    unload_generations();
    scripts_end(&scripts);
}

#define WORDS "{ abc = 1, abd = 2, ab = 3, abf = 4, essay = 5, batch = 6, [true] = 7, 'x', 'y' }"

static void pairs_and_next_go_by_the_keys(void) {
    is_the_same("local out = '' for k in pairs(" WORDS ") do out = out .. tostring(k) .. ' ' end "
                "return out",
                "1 2 ab abc abd abf batch essay true ");
    is_the_same("local out = '' for k, v in next, " WORDS
                " do out = out .. tostring(k) .. v .. ' ' "
                "end return out",
                "1x 2y ab3 abc1 abd2 abf4 batch6 essay5 true7 ");
    is_the_same("return next({ b = 1, a = 2, c = 3 })", "1:a");
    is_the_same("local t, out = { [2.5] = 1, [-1] = 1, [10] = 1, [3] = 1, [1e300] = 1 }, '' "
                "for k in pairs(t) do out = out .. k .. ' ' end return out",
                "3 10 1e+300 -1 2.5 ");
    is_the_same("local t, out = {}, '' for i = 1, 200 do t['k' .. i] = i end "
                "for k, v in pairs(t) do out = out .. v .. ' ' end return out",
                "1 10 100 101 102 ");
    is_the_same("local t = {} for _, k in ipairs({ 'x', 'y', 'z' }) do t[k] = 1 end "
                "for k in pairs(t) do t[k] = nil t[k .. k] = 1 end "
                "local out = '' for k in pairs(t) do out = out .. k end return out",
                "xxyyzz");
    is_the_same("for k in pairs({ a = 1, [{}] = 2 }) do if k ~= 'a' then return type(k) end end",
                "5:table");
    is_the_same("for k in pairs({ [{}] = 1, [{}] = 2 }) do end",
                "two keys of the table are tables or functions");
    is_the_same("local t = { [function() end] = 1, [{}] = 2 } next(t)",
                "two keys of the table are tables or functions");
}

static void no_address_is_written(void) {
    is_the_same("return tostring({}) .. tostring(ipairs) .. tostring(view)", "tablefunctiontable");
    is_the_same("return ('%s|%5.3s|%s|%%|%s'):format({}, 'abcdef', handle, 7)",
                "table|  abc|function|%|7");
    is_the_same("return tostring(setmetatable({}, { __tostring = function() return 'own' end }))",
                ":own");
    is_the_same("return ('%p'):format({})", "writes an address");
    is_the_same("return (('\\0%s'):format({})):sub(2)", "5:table");
    is_the_same("return (('\\0%p'):format({})):sub(2)", "writes an address");
    is_the_same("error({})", "a table value");
    is_the_same("return ('x'):rep(-1, {})", "handlers/t.lua");
    is_the_same("local list = { string.rep } return pcall(list[1]) and 1 or list[1]()", "[C]");
    is_the_same("table.sort({ 3, 2, 1 }, function(a, b) error('x') end)", "handlers/t.lua");
    is_the_same("return select(2, pcall(error, tostring(require('json').null)))", "userdata");
}

static void garbage_collection_is_invisible(void) {
    is_the_same("return #setmetatable({}, { __mode = 'k' })", "weak tables");
}

static void output_of_bindings_has_a_fixed_order(void) {
    is_the_same("return require('json').encode({ b = 1, a = { d = 1, c = 2 } })",
                "{\"a\":{\"c\":2,\"d\":1},\"b\":1}");
    is_the_same("local columns = { zz = 1, yy = 1, xx = 1, word = 'x' } view.things:merge('a', "
                "'said', columns)",
                "no column \"xx\"");
    is_the_same("view:publish({ zz = 1, yy = 1, xx = 1, topic = 'x' })", "\"xx\"");
}

/* ---- the handlers of the service ------------------------------------------------------------ */

static const char *path_of(const char *name) {
    static char file[] = __FILE__;
    static char folder[400], path[512];
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "%s/../..", dirname(file));
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* The last event first, all of them often, and compiled: then each as in a fresh state that
 * interprets. */
static void every_sample_gives_the_same(const char *name) {
    struct samples samples = {0};
    struct dry_run fresh, used;
    struct buffer ignored = {0};
    CHECK_OK(samples_read(&samples, generation, path_of(name), &err), &err);
    open_dry_run(&used, compiled_generation);
    for (size_t i = ROUNDS_HOT * samples.count; i-- > 0;) {
        const struct record *record = &samples.items[i % samples.count].record;
        handle(&used, record->topic, record->payload, &ignored);
    }
    open_dry_run(&fresh, generation);
    for (size_t i = 0; i < samples.count; i++) {
        const struct record *record = &samples.items[i].record;
        struct buffer a = {0}, b = {0};
        handle(&fresh, record->topic, record->payload, &a);
        handle(&used, record->topic, record->payload, &b);
        if (a.len != b.len || (a.len && memcmp(a.data, b.data, a.len) != 0)) {
            TEST_FAIL("%s:%zu: %.*s\nin another state: %.*s", name, samples.items[i].line,
                      (int)a.len, a.data, (int)b.len, b.data);
        }
        buffer_free(&a);
        buffer_free(&b);
    }
    CHECK(ignored.len > samples.count);
    buffer_free(&ignored);
    dry_run_close(&fresh);
    dry_run_close(&used);
    samples_free(&samples);
}

/* The service's own scripts, interpreted and compiled. */
static void load_service(void) {
    static char root[512], sql[512];
    static struct config config;
    scripts_begin(&scripts);
    snprintf(root, sizeof root, "%s", path_of("scripts"));
    snprintf(sql, sizeof sql, "%s", path_of("sql"));
    config = scripts.config;
    config.refs = 1; /* owned by the test: never freed */
    config.scripts.root = root;
    config.scripts.sql = sql;
    config.scripts.memory_limit_mb = 64;
    config.ingest.batch_max_merge_bytes = 64 * 1024 * 1024;
    config.ingest.batch_max_events = 1000;
    config.ingest.batch_max_bytes = 64 * 1024 * 1024;
    config.ingest.breaker_window_events = 100;
    config.ingest.breaker_share_percent = 100;
    load_generations(&config);
}

static void every_handler_gives_the_same_for_every_sample(void) {
    static const char *const names[] = {
        "spec/fixtures/samples/first.jsonl", "spec/fixtures/samples/first-unlinked.jsonl",
        "spec/fixtures/samples/current.jsonl", "spec/fixtures/samples/current-hard.jsonl"};
    load_service();
    for (size_t i = 0; generation && i < sizeof names / sizeof *names; i++) {
        every_sample_gives_the_same(names[i]);
    }
    unload_generations();
    scripts_end(&scripts);
}

/* ---- the reactions of the service ----------------------------------------------------------- */

#define COMMON_COLUMNS                                                                             \
    "\"key\":\"b%1$d\",\"user_id\":\"u%1$d\",\"at\":17510976%2$02d%1$06d,\"run\":null"
static const struct {
    const char *reaction;
    const char *rows[3]; /* formats of a number and of two digits */
} reaction_rows[] = {
    {"reactions/results_ready",
     {"{" COMMON_COLUMNS ",\"status\":\"completed\",\"essay_count\":%2$d,\"completed\":%2$d,"
      "\"duration_s\":%2$d.25,\"judged\":%1$d,\"unjudged\":0,\"judging_s\":null,\"phases\":\"[]\"}",
      "{" COMMON_COLUMNS ",\"status\":\"failed\",\"essay_count\":3,\"completed\":0,"
      "\"duration_s\":null,\"judged\":0,\"unjudged\":%2$d,\"judging_s\":%2$d.1,\"phases\":["
      "{\"phase_name\":\"spellcheck\",\"completed\":%2$d,\"failed\":1}]}",
      "{" COMMON_COLUMNS ",\"status\":\"completed\",\"essay_count\":9,\"completed\":9,"
      "\"duration_s\":1e-3,\"judged\":4,\"unjudged\":5,\"judging_s\":7,\"phases\":["
      "{\"phase_name\":\"cj_assessment\",\"completed\":%1$d,\"failed\":0},"
      "{\"phase_name\":\"other\",\"completed\":1,\"failed\":%2$d}]}"}},
    {"reactions/assessment_completed",
     {"{" COMMON_COLUMNS ",\"correlation_id\":null,\"job_id\":\"j%1$d\",\"essay_ids\":[],"
      "\"ranks\":[],\"scores\":[],\"letter_grades\":[],\"confidence_scores\":[],"
      "\"confidence_labels\":[]}",
      "{" COMMON_COLUMNS ",\"correlation_id\":\"0123abcd-4567-89ef-0123-456789abcd%2$02d\","
      "\"job_id\":\"j\",\"essay_ids\":[\"e%1$d\",\"f%1$d\"],\"ranks\":[1,2],\"scores\":[0.%2$d,"
      "-%1$d.5],\"letter_grades\":[\"A\",\"B\"],\"confidence_scores\":[1,0.%2$d],"
      "\"confidence_labels\":[\"HIGH\",\"LOW\"]}",
      "{" COMMON_COLUMNS ",\"correlation_id\":null,\"job_id\":\"\\u00e9%1$d\",\"essay_ids\":["
      "\"e\",\"f\",\"g\"],\"ranks\":[3,1,%2$d],\"scores\":[1e300,0,%1$d],\"letter_grades\":["
      "\"A\",\"A\",\"A\"],\"confidence_scores\":[0,0,0],\"confidence_labels\":[\"LOW\",\"LOW\","
      "\"LOW\"]}"}},
};

static void append_messages(struct buffer *out, struct script_instance *instance, size_t reaction,
                            const char *row) {
    struct arena *arena = arena_create(4096);
    struct script_published published;
    int count;
    err_clear(&err);
    CHECK_OK(script_react_to_json(instance, reaction, slice_of(row), &count, &err), &err);
    enum script_result result = script_react(instance, reaction, 0, arena, &published, &err);
    buffer_append_format(out, "%d %s, %zu messages\n", (int)result, err.text, published.count);
    for (size_t i = 0; i < published.count; i++) {
        const struct outbox_message *message = &published.messages[i];
        append_slice(out, message->topic);
        append_slice(out, message->key);
        append_slice(out, message->value);
        append_slice(out, message->identity);
        append_slice(out, message->headers);
        buffer_append_format(out, "%lld\n", (long long)message->fact_at_us);
    }
    arena_destroy(arena);
}

static void compare_reaction(struct script_instance *states[2], size_t at) {
    int reaction = script_reaction_of(generation, reaction_rows[at].reaction);
    CHECK(reaction >= 0);
    for (int round = 0; round < ROUNDS_REACTIONS && !test_failed; round++) {
        char row[1024];
        struct buffer said[2] = {{0}, {0}};
        snprintf(row, sizeof row, reaction_rows[at].rows[round % 3], round, 10 + round % 89);
        append_messages(&said[0], states[0], (size_t)reaction, row);
        append_messages(&said[1], states[1], (size_t)reaction, row);
        if (!slice_equal(buffer_slice(&said[0]), buffer_slice(&said[1]))) {
            TEST_FAIL("%s: interpreted %s\ncompiled %s", row, said[0].data, said[1].data);
        }
        CHECK_HAS(said[0].data, "0 , 2 messages");
        buffer_free(&said[0]);
        buffer_free(&said[1]);
    }
}

static void every_reaction_gives_the_same_compiled(void) {
    load_service();
    struct script_instance *states[2] = {script_instance_create(generation, &err),
                                         script_instance_create(compiled_generation, &err)};
    CHECK_OK(states[0] && states[1], &err);
    for (size_t i = 0; i < sizeof reaction_rows / sizeof *reaction_rows; i++) {
        compare_reaction(states, i);
    }
    script_instance_destroy(states[0]);
    script_instance_destroy(states[1]);
    unload_generations();
    scripts_end(&scripts);
}

static const struct test_case cases[] = {
    {"pairs and next go by the keys", pairs_and_next_go_by_the_keys},
    {"no address is written", no_address_is_written},
    {"garbage collection is invisible", garbage_collection_is_invisible},
    {"output of bindings has a fixed order", output_of_bindings_has_a_fixed_order},
    {"every handler gives the same for every sample",
     every_handler_gives_the_same_for_every_sample},
    {"every reaction gives the same compiled", every_reaction_gives_the_same_compiled},
};

TEST_MAIN(cases)
