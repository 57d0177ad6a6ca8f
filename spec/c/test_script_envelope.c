/* scripts/envelope.lua: the paths of what every event has are the service's own. */
#include "base/uuid.h"
#include "scripts.h"

#define HANDLER(more)                                                                              \
    "return { topics = 't'," more " fields = { id = 'key' }, handle = function() end }"
#define OTHER_ENVELOPE                                                                             \
    "return { id = 'meta.uuid', time = 'meta.at', correlation_id = 'trace', fields = { kind = "    \
    "'meta.kind' } }"
#define OTHER_EVENT                                                                                \
    "{\"meta\":{\"uuid\":\"0123abcd-4567-89ef-0123-456789abcdef\",\"at\":\"2025-06-28T08:00:00Z\"" \
    ",\"kind\":\"k\"},\"trace\":\"c\",\"when\":\"2025-06-28T09:00:00Z\",\"key\":\"a\"}"
#define EIGHT_US INT64_C(1751097600000000)
#define HOUR_US INT64_C(3600000000)

static struct scripts scripts;
static struct err err;

static struct script_generation *load(const char *envelope, const char *handler) {
    char path[64];
    scripts_begin(&scripts);
    snprintf(path, sizeof path, "%s/envelope.lua", scripts.folder);
    CHECK(unlink(path) == 0);
    if (envelope) {
        scripts_write(&scripts, "envelope.lua", "%s", envelope);
    }
    if (handler) {
        scripts_write(&scripts, "handlers/h.lua", "%s", handler);
    }
    err_clear(&err);
    return script_generation_load(&scripts.config, 1, &err);
}

static void refuses(const char *envelope, const char *handler, const char *wanted) {
    struct script_generation *generation = load(envelope, handler);
    CHECK(generation == NULL);
    CHECK_HAS(err.text, wanted);
    script_generation_unref(generation);
    scripts_end(&scripts);
}

static void reads_time(const char *handler, int64_t wanted_us) {
    struct script_generation *generation = load(OTHER_ENVELOPE, handler);
    struct arena *arena = arena_create(4096);
    char id[UUID_TEXT_LEN + 1];
    CHECK_OK(generation != NULL, &err);
    const struct extract_value *values = scripts_event(generation, arena, OTHER_EVENT);
    uuid_format(values[ENVELOPE_EVENT_ID].as.uuid, id);
    CHECK_TEXT(id, "0123abcd-4567-89ef-0123-456789abcdef");
    CHECK_INT(values[ENVELOPE_TIME].as.integer, wanted_us);
    CHECK(slice_equal(values[ENVELOPE_CORRELATION_ID].as.text, slice_of("c")));
    CHECK(slice_equal(values[ENVELOPE_ROLES].as.text, slice_of("k")));
    CHECK(slice_equal(values[ENVELOPE_ROLES + 1].as.text, slice_of("a")));
    arena_destroy(arena);
    script_generation_unref(generation);
    scripts_end(&scripts);
}

static void reads_the_declared_paths(void) {
    reads_time(HANDLER(""), EIGHT_US);
    reads_time(HANDLER(" time = 'when',"), EIGHT_US + HOUR_US);
}

static void handlers_need_an_envelope(void) {
    refuses(NULL, HANDLER(""),
            "there is no scripts/envelope.lua, which handlers need: return { id = PATH, time = "
            "PATH, correlation_id = PATH }");
    struct script_generation *generation = load(NULL, NULL);
    CHECK_OK(generation != NULL, &err);
    script_generation_unref(generation);
    scripts_end(&scripts);
}

static void what_is_wrong_has_its_place(void) {
    static const struct {
        const char *envelope, *wanted;
    } cases[] = {
        {"return { id = 'i',\n tiem = 't', correlation_id = 'c' }",
         "/envelope.lua:2: envelope: no key \"tiem\": did you mean \"time\"?"},
        {"return { id = 'i', time = 't' }", "/envelope.lua:1: envelope: `correlation_id` is "
                                            "missing: the path of the correlation id (the "
                                            "event may lack it)"},
        {"return { id = 'i', time = 7, correlation_id = 'c' }",
         "/envelope.lua:1: envelope: `time` takes a string, not a number"},
        {"return { id = 'a..b', time = 't', correlation_id = 'c' }", "/envelope.lua:1: envelope: "},
        {"return { id = 'i', time = 't', correlation_id = 'c', fields = { time = 'x' } }",
         "/envelope.lua:1: envelope: field time: the envelope reserves this name"},
        {"return { id = 'i', time = 't', correlation_id = 'c', fields = { k = { 'k', type = "
         "'txt' } } }",
         "/envelope.lua:1: field k: no type \"txt\""},
        {"return { id = 'a..b', time = 't', correlation_id = 'c' }",
         "/envelope.lua:1: envelope: field event_id: the path \"a..b\" has an empty part"},
        {"return {\n id = 'i',\n time = 'a..b',\n correlation_id = 'c..d' }",
         "/envelope.lua:3: envelope: field time: the path \"a..b\" has an empty part"},
        {"return {\n id = 'i',\n time = 'a..b',\n correlation_id = 'c..d' }",
         "/envelope.lua:4: envelope: field correlation_id: the path \"c..d\" has an empty part"},
        {"", "/envelope.lua:1: envelope: the file returns nothing, not a table"},
        {"return 'event_id'", "/envelope.lua:1: envelope: this is a string, not a table"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        refuses(cases[i].envelope, HANDLER(""), cases[i].wanted);
        CHECK(!strstr(err.text, "handlers/h.lua"));
    }
}

static void a_handler_takes_no_name_of_the_envelope(void) {
    refuses(OTHER_ENVELOPE,
            "return { topics = 't', fields = { kind = 'k' }, handle = function() end }",
            "/handlers/h.lua:1: handler: field kind: the envelope reserves this name");
}

static const struct test_case cases[] = {
    {"events are read by the declared paths", reads_the_declared_paths},
    {"handlers need an envelope", handlers_need_an_envelope},
    {"what is wrong in it is named with its place", what_is_wrong_has_its_place},
    {"a handler takes no name of the envelope", a_handler_takes_no_name_of_the_envelope},
};
TEST_MAIN(cases)
