/* fuzz_extract: an event's whole way through the service's own scripts, and through those of
 * spec/fixtures/typed with every type and rule, up to the parameters of the upserts. The input is a
 * topic, a line end, and the message. Run at the project's root. */
#include "bindings/pg.h"
#include "base/json_scan.h"
#include "base/log.h"
#include "script/script.h"
#include "base/utf8.h"
#include "view/view_sql.h"
#include "fuzz.h"

static struct service {
    const char *scripts, *sql;
    struct config config;
    struct script_generation *generation;
    struct script_instance *instance;
} services[] = {{.scripts = "scripts", .sql = "sql"},
                {.scripts = "spec/fixtures/typed/scripts", .sql = "spec/fixtures/typed/sql"}};
#define SERVICES (sizeof services / sizeof *services)
static struct service *service; /* of the present input */
static struct arena *arena;
static struct merge *merge;
static struct pg_params *params;

/* What only a Lua state refers to would else be taken for a leak: LuaJIT's heap is not searched. */
static void end(void) {
    pg_params_destroy(params);
    merge_destroy(merge);
    arena_destroy(arena);
    for (size_t i = 0; i < SERVICES; i++) {
        script_instance_destroy(services[i].instance);
        script_generation_unref(services[i].generation);
    }
}

static void load(struct service *loaded) {
    struct err err = {0};
    struct config *config = &loaded->config;
    config->refs = 1; /* never freed */
    config->scripts.root = (char *)loaded->scripts;
    config->scripts.sql = (char *)loaded->sql;
    config->scripts.memory_limit_mb = 256;
    config->ingest.event_max_merge_bytes = 16 * 1024 * 1024;
    config->scripts.handler_timeout_ms = 20000;
    loaded->generation = script_generation_load(config, 1, &err);
    loaded->instance = loaded->generation ? script_instance_create(loaded->generation, &err) : NULL;
    if (!loaded->instance) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    log_configure(LOG_ERROR, false);
    for (size_t i = 0; i < SERVICES; i++) {
        load(&services[i]);
    }
    arena = arena_create(65536);
    merge = merge_create(script_generation_view(services[0].generation));
    params = pg_params_create();
    return atexit(end);
}

/* The service and the handler of the topic; of an unknown one, any. */
static size_t find_handler(struct slice topic) {
    size_t count;
    for (service = services; service < services + SERVICES; service++) {
        const struct script_handler *handlers =
            script_generation_handlers(service->generation, &count);
        for (size_t i = 0; i < count; i++) {
            for (size_t t = 0; t < handlers[i].topic_count; t++) {
                if (slice_equal(topic, slice_of(handlers[i].topics[t]))) {
                    return i;
                }
            }
        }
    }
    service = &services[topic.len % SERVICES];
    script_generation_handlers(service->generation, &count);
    return topic.len % count;
}

static void check_text(struct slice text) {
    for (size_t i = 0; i < text.len;) {
        size_t step = utf8_sequence(text.data + i, text.len - i);
        PROMISE(step > 0 && text.data[i] != '\0');
        i += step;
    }
}

static void check_json(struct slice text) {
    struct json_cursor cursor;
    struct json_value value;
    json_begin(&cursor, text);
    PROMISE(json_read(&cursor, &value) && json_finish(&cursor));
}

static void check_value(const struct extract_field *field, const struct extract_value *value) {
    if (!value->present) {
        PROMISE(field->optional || field->required_if);
        return;
    }
    if (field->type == FIELD_STRING) {
        check_text(value->as.text);
    } else if (field->type == FIELD_JSON) {
        check_json(value->as.text);
    } else if (field->type == FIELD_STRINGS) {
        for (size_t i = 0; i < value->as.strings.count; i++) {
            check_text(value->as.strings.items[i]);
        }
    } else if (field->type == FIELD_LIST) {
        for (size_t i = 0; i < value->as.list.rows * field->element_count; i++) {
            check_value(&field->element[i % field->element_count], &value->as.list.cells[i]);
        }
    }
}

/* A plan that has seen no document guesses other keys, and gives the same result. */
static void check_guesses(const struct script_handler *handler, struct slice document, bool ok,
                          const struct err *err) {
    struct err again = {0};
    struct extract_plan *plan = extract_plan_create(handler->fields, handler->field_count, &again);
    struct extract_value *values = calloc(handler->field_count, sizeof *values);
    PROMISE(plan && extract_run(plan, document, arena, values, &again) == ok);
    PROMISE(strcmp(again.text, err->text) == 0);
    free(values);
    extract_plan_destroy(plan);
}

/* As the body of a request: where unknown members are ignored it is what the plan takes, else no
 * more than that. */
static void check_as_body(const struct script_handler *handler, struct slice document, bool ok) {
    struct script_body body = {.part = {handler->plan, handler->fields, handler->field_count},
                               .max_bytes = SIZE_MAX};
    const struct script_route route = {.body = &body};
    struct script_request request = {.body = document};
    struct err err = {0};
    bool strict = script_read_inputs(&route, &request, arena, &err);
    PROMISE(ok || !strict);
    PROMISE(strict || (err.kind == ERR_INPUT && strchr(err.text, ':')));
    body.ignores_unknown = true;
    PROMISE(script_read_inputs(&route, &request, arena, &err) == ok);
}

static void write_rows(void) {
    const struct view *view = script_generation_view(service->generation);
    for (size_t t = 0; t < view->table_count; t++) {
        size_t count;
        struct merge_row *const *rows = merge_rows(merge, t, &count);
        uint32_t groups = view_sql_groups(&view->tables[t], rows, count);
        PROMISE((groups != 0) == (count > 0));
        view_sql_params(&view->tables[t], groups, rows, count, params);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    const char *line = size ? memchr(text, '\n', size) : NULL;
    size_t topic_len = line ? (size_t)(line - text) : 0;
    struct slice document = {text + topic_len + (line != NULL), size - topic_len - (line != NULL)};
    size_t at = find_handler((struct slice){text, topic_len}), count;
    const struct script_handler *handler =
        &script_generation_handlers(service->generation, &count)[at];
    struct err err = {0};
    arena_reset(arena);
    struct extract_value *values = arena_alloc(arena, handler->field_count * sizeof *values);
    memset(values, 0, handler->field_count * sizeof *values);
    bool ok = extract_run(handler->plan, document, arena, values, &err);
    check_guesses(handler, document, ok, &err);
    check_as_body(handler, document, ok);
    if (!ok) {
        PROMISE(err.kind == ERR_INPUT && strchr(err.text, ':'));
        return 0;
    }
    for (size_t i = 0; i < handler->field_count; i++) {
        check_value(&handler->fields[i], &values[i]);
    }
    merge_reset(merge, script_generation_view(service->generation));
    enum script_result result = script_handle(service->instance, at, values, merge, &err);
    PROMISE(result != SCRIPT_TIMEOUT && script_instance_healthy(service->instance));
    if (result == SCRIPT_ERROR) {
        merge_discard(merge);
    } else {
        merge_accept(merge, 0);
        write_rows();
    }
    script_collect_step(service->instance);
    return 0;
}
