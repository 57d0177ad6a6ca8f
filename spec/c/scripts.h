/* scripts: a folder of scripts of a test, loaded as in production. */
#pragma once

#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "script/script.h"
#include "test.h"

struct scripts {
    char folder[32];
    struct config config;
};

/* Whether the states of the following cases compile their scripts. */
static bool scripts_compile = true;

static inline void scripts_write(const struct scripts *scripts, const char *name,
                                 const char *format, ...) __attribute__((format(printf, 3, 4)));
static inline void scripts_write(const struct scripts *scripts, const char *name,
                                 const char *format, ...) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", scripts->folder, name);
    FILE *file = fopen(path, "w");
    va_list arguments;
    va_start(arguments, format);
    CHECK(file && vfprintf(file, format, arguments) >= 0 && fclose(file) == 0);
    va_end(arguments);
}

static inline void scripts_make_folder(const struct scripts *scripts, const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", scripts->folder, name);
    CHECK(mkdir(path, 0700) == 0);
}

#define SCRIPTS_ENVELOPE                                                                           \
    "return { id = 'event_id', time = 'event_timestamp', correlation_id = 'correlation_id', "      \
    "fields = { event_type = 'event_type', source_service = { 'source_service', "                  \
    "check_only = true } } }"

/* An envelope, and a view with one table, `things` (id; latest group "said" with text `word`). */
static inline void scripts_begin(struct scripts *scripts) {
    *scripts = (struct scripts){.folder = "/tmp/test_scripts.XXXXXX"};
    CHECK(mkdtemp(scripts->folder) != NULL);
    scripts->config.refs = 1; /* owned by the test: never freed */
    scripts->config.scripts.root = scripts->folder;
    scripts->config.scripts.sql = scripts->folder;
    scripts->config.scripts.compile = scripts_compile;
    scripts->config.scripts.memory_limit_mb = 16;
    scripts->config.scripts.handler_timeout_ms = 10000;
    scripts->config.scripts.route_timeout_ms = 10000;
    scripts->config.http.states = 2;
    scripts->config.redis.url = (char *)"";
    scripts->config.ingest.event_max_merge_bytes = 1024 * 1024;
    static const char *const folders[] = {"handlers", "routes", "reactions", "lib", "queries"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        scripts_make_folder(scripts, folders[i]);
    }
    scripts_write(scripts, "envelope.lua", "%s", SCRIPTS_ENVELOPE);
    scripts_write(scripts, "view.lua",
                  "return { { name = 'things', key = { { 'id', 'text' } }, groups = { { name = "
                  "'said', rule = 'latest', columns = { { 'word', 'text' } } } } } }");
}

static inline void scripts_end(struct scripts *scripts) {
    char command[64];
    snprintf(command, sizeof command, "rm -rf '%s'", scripts->folder);
    CHECK(system(command) == 0);
}

/* A state of the scripts as they are written, and their generation. The program ends where they do
 * not load: the case cannot continue. */
static inline struct script_instance *scripts_load(struct scripts *scripts,
                                                   struct script_generation **generation) {
    struct err err = {0};
    *generation = script_generation_load(&scripts->config, 1, &err);
    struct script_instance *instance =
        *generation ? script_instance_create(*generation, &err) : NULL;
    CHECK_OK(instance != NULL, &err);
    if (!instance) {
        exit(1);
    }
    return instance;
}

/* After scripts_load: removes the files, too. */
static inline void scripts_unload(struct scripts *scripts, struct script_generation *generation,
                                  struct script_instance *instance) {
    script_instance_destroy(instance);
    script_generation_unref(generation);
    scripts_end(scripts);
}

/* One event for handler 0, whose values live in the arena. */
static inline struct extract_value *scripts_event(struct script_generation *generation,
                                                  struct arena *arena, const char *document) {
    size_t count;
    const struct script_handler *handler = script_generation_handlers(generation, &count);
    struct extract_value *values = arena_alloc(arena, handler->field_count * sizeof *values);
    struct err err = {0};
    memset(values, 0, handler->field_count * sizeof *values);
    CHECK_OK(extract_run(handler->plan, slice_of(document), arena, values, &err), &err);
    return values;
}

#define SCRIPTS_EVENT                                                                              \
    "{\"event_id\":\"0123abcd-4567-89ef-0123-456789abcdef\",\"event_type\":\"t\","                 \
    "\"source_service\":\"s\",\"event_timestamp\":\"2025-06-28T08:00:00Z\",\"data\":{\"id\":"      \
    "\"a\",\"word\":\"w\"}}"

/* Runs the cases interpreted, then compiled. */
#define SCRIPTS_TEST_MAIN(cases)                                                                   \
    int main(int argc, char **argv) {                                                              \
        const size_t count = sizeof(cases) / sizeof *(cases);                                      \
        struct test_counts counts = {0};                                                           \
        scripts_compile = false;                                                                   \
        printf("interpreted:\n");                                                                  \
        test_run_chosen((cases), count, argc, argv, &counts);                                      \
        scripts_compile = true;                                                                    \
        printf("compiled:\n");                                                                     \
        test_run_chosen((cases), count, argc, argv, &counts);                                      \
        return test_end((cases), count, &counts);                                                  \
    }
