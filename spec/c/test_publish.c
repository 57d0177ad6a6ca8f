/* publish: a handler's message is checked at the call, copied, and committed or discarded with its
 * event's merges. */
#include "base/log.h"
#include "scripts.h"

#define GOOD                                                                                       \
    "topic = 't.v1', key = event.id, identity = 'i', at = event.time, value = { b = 1, a = 'x' }"

static struct scripts scripts;
static struct script_generation *generation;
static struct script_instance *instance;
static struct arena *arena;
static struct merge *merge;
static struct err err;

static void begin(const char *body) {
    scripts_begin(&scripts);
    scripts_write(&scripts, "handlers/h.lua",
                  "return { topics = { 't' }, fields = { id = 'data.id' },\n"
                  "handle = function(event, view)\n%s\nend }",
                  body);
    err_clear(&err);
    instance = scripts_load(&scripts, &generation);
    arena = arena_create(4096);
    merge = merge_create(script_generation_view(generation));
}

static void end(void) {
    merge_destroy(merge);
    arena_destroy(arena);
    scripts_unload(&scripts, generation, instance);
}

static enum script_result handle(void) {
    struct extract_value *event = scripts_event(generation, arena, SCRIPTS_EVENT);
    err_clear(&err);
    return script_handle(instance, 0, event, merge, &err);
}

static void a_message_is_stored_as_published(void) {
    size_t count;
    begin("local m = { " GOOD ", headers = { z = '1', event_id = 'i' } }\n"
          "view:publish(m) m.topic, m.value.b = 'other', 2\n"
          "view:publish({ topic = 't', key = 'k', identity = 'j', at = event.time, "
          "value = ' [1] ' })");
    CHECK_INT(handle(), SCRIPT_OK);
    const struct outbox_message *messages = merge_staged_messages(merge, &count);
    CHECK_INT(count, 2);
    CHECK_SLICE(messages[0].topic, "t.v1");
    CHECK_SLICE(messages[0].key, "a");
    CHECK_SLICE(messages[0].identity, "i");
    CHECK_SLICE(messages[0].value, "{\"a\":\"x\",\"b\":1}");
    CHECK_SLICE(messages[0].headers, "{\"event_id\":\"i\",\"z\":\"1\"}");
    CHECK_SLICE(messages[0].source, "handlers/h");
    CHECK_SLICE(messages[0].scripts, script_generation_hash(generation));
    CHECK_INT(messages[0].fact_at_us, 1751097600000000LL);
    CHECK_SLICE(messages[1].value, " [1] ");
    CHECK(!messages[1].headers.data);
    end();
}

static void an_invalid_message_is_refused_with_its_line(void) {
    static const struct {
        const char *body, *what;
    } table[] = {
        {"view:publish()", "view:publish: the message must be a table, got nil"},
        {"view:publish({ topik = 't' })", "no field \"topik\": did you mean \"topic\"?"},
        {"local m = { " GOOD " } m.topic = '..' view:publish(m)", "\"..\" is not a topic name"},
        {"local m = { " GOOD " } m.key = nil view:publish(m)", "field \"key\" must be a string"},
        {"local m = { " GOOD " } m.value = { ('x'):rep(4e6) } view:publish(m)",
         "more than the 4000000 that the outbox holds"},
        {"local v = view v.publish({ " GOOD " })", "a colon is missing"},
        {"local m = setmetatable({}, { __index = { " GOOD " } }) view:publish(m)",
         "field \"topic\" must be a string, got nil"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t count;
        begin(table[i].body);
        CHECK_INT(handle(), SCRIPT_ERROR);
        CHECK_HAS(err.text, table[i].what);
        CHECK_HAS(err.text, "handlers/h.lua:3: ");
        merge_staged_messages(merge, &count);
        CHECK_INT(count, 0);
        end();
    }
}

static void a_message_shares_the_fate_of_its_events_merges(void) {
    size_t count;
    begin("view:publish({ " GOOD " }) if event.id == 'b' then error('no') end");
    CHECK_INT(handle(), SCRIPT_OK);
    merge_discard(merge);
    merge_messages(merge, &count);
    CHECK_INT(count, 0);
    for (size_t event = 0; event < 4; event++) {
        CHECK_INT(handle(), SCRIPT_OK);
        merge_accept(merge, event);
    }
    merge_messages(merge, &count);
    CHECK_INT(count, 4);
    merge_select(merge, 1, 3);
    const struct outbox_message *all = merge_messages(merge, &count);
    CHECK_INT(count, 2);
    merge_select(merge, 0, 4);
    CHECK(merge_messages(merge, &count) + 1 == all);
    merge_reset(merge, script_generation_view(generation));
    merge_messages(merge, &count);
    CHECK_INT(count, 0);
    end();
}

static bool is_second(void *context, size_t event) {
    (void)context;
    return event == 1;
}

static void the_messages_of_a_refused_event_are_forgotten(void) {
    size_t count;
    begin("view:publish({ " GOOD " })");
    for (size_t event = 0; event < 3; event++) {
        CHECK_INT(handle(), SCRIPT_OK);
        merge_accept(merge, event);
    }
    merge_forget(merge, is_second, NULL);
    merge_select(merge, 0, 3);
    merge_messages(merge, &count);
    CHECK_INT(count, 2);
    end();
}

static void messages_count_as_the_memory_of_their_event(void) {
    begin("local long = ('x'):rep(300000) for i = 1, 10 do "
          "local m = { " GOOD " } m.value = { long } view:publish(m) end");
    CHECK_INT(handle(), SCRIPT_ERROR);
    CHECK_HAS(err.text, "ingest.event_max_merge_bytes");
    end();
}

static void a_dot_for_the_colon_is_found_when_scripts_are_loaded(void) {
    scripts_begin(&scripts);
    scripts_write(&scripts, "handlers/h.lua",
                  "return { topics = { 't' }, fields = {}, handle = function(event, view)\n"
                  "view.publish({ topic = 't' })\nview:publihs({})\nend }");
    err_clear(&err);
    CHECK(!script_generation_load(&scripts.config, 1, &err));
    CHECK_HAS(err.text, "handlers/h.lua:2: view.publish is called with a dot");
    CHECK_HAS(err.text, "did you mean \"publish\"?");
    scripts_end(&scripts);
}

static void a_handler_that_produces_records_is_pointed_to_publish(void) {
    scripts_begin(&scripts);
    scripts_write(&scripts, "handlers/h.lua",
                  "local log = require('log')\nlocal kafka = require('kafka')\n"
                  "return { topics = { 't' }, fields = {}, handle = function()\n"
                  "log.info('x') kafka.produce({ topic = 't' }) end }");
    scripts_write(&scripts, "handlers/i.lua",
                  "return { topics = { 'u' }, fields = {}, handle = function()\n"
                  "require \"kafka\".produce_all({}) end }");
    err_clear(&err);
    CHECK(!script_generation_load(&scripts.config, 1, &err));
    CHECK_HAS(err.text, "handlers/h.lua:2: kafka: a handler must not produce records");
    CHECK_HAS(err.text, "handlers/i.lua:2: kafka: a handler must not produce records");
    CHECK_HAS(err.text, "use view:publish(message)");
    scripts_end(&scripts);
}

/* A reload would find no fault with the handler's own file. */
static void a_library_that_produces_for_a_handler_is_refused_when_it_runs(void) {
    scripts_begin(&scripts);
    scripts_write(&scripts, "lib/announce.lua",
                  "local kafka = require('kafka')\nreturn function()\n"
                  "local place = kafka.produce({ topic = 't' }) return place end");
    scripts_write(&scripts, "handlers/h.lua",
                  "local announce = require('lib.announce')\n"
                  "return { topics = { 't' }, fields = { id = 'data.id' }, handle = announce }");
    err_clear(&err);
    instance = scripts_load(&scripts, &generation);
    arena = arena_create(4096);
    merge = merge_create(script_generation_view(generation));
    CHECK_INT(handle(), SCRIPT_ERROR);
    CHECK_HAS(err.text, "lib/announce.lua:3: kafka.produce: a handler must not produce records");
    end();
}

static const struct test_case cases[] = {
    {"a message is stored as published", a_message_is_stored_as_published},
    {"an invalid message is refused with its line", an_invalid_message_is_refused_with_its_line},
    {"a message shares the fate of its event's merges",
     a_message_shares_the_fate_of_its_events_merges},
    {"the messages of a refused event are forgotten",
     the_messages_of_a_refused_event_are_forgotten},
    {"messages count as the memory of their event", messages_count_as_the_memory_of_their_event},
    {"a dot for the colon is found when scripts are loaded",
     a_dot_for_the_colon_is_found_when_scripts_are_loaded},
    {"a handler that produces records is pointed to publish",
     a_handler_that_produces_records_is_pointed_to_publish},
    {"a library that produces for a handler is refused when it runs",
     a_library_that_produces_for_a_handler_is_refused_when_it_runs},
};

TEST_MAIN(cases)
