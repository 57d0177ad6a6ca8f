#include "try_reaction.h"

#include "base/json_put.h"
#include "reaction_rows.h"
#include "samples.h"
#include "show.h"
#include "which.h"

#define ARENA_CHUNK_BYTES 65536

struct try_reaction {
    const struct try_reaction_options *options;
    struct script_generation *generation;
    struct script_instance *instance;
    const struct script_reaction *reaction;
    size_t index;
    const char *path;       /* of the rows or the query, as messages name it */
    struct buffer text;     /* of the rows of a file */
    struct pg_result *rows; /* of the query; NULL: of a file */
    struct arena *arena;
    struct buffer out; /* of one row at a time */
    size_t failed;
};

static void try_reaction_show(struct try_reaction *attempt, int row,
                              const struct script_published *published, const char *error) {
    struct buffer *out = &attempt->out;
    if (attempt->options->json) {
        buffer_append_text(out, "{");
        json_put_text(out, "reaction", slice_of(attempt->reaction->name));
        json_put_int(out, "row", row + 1);
        json_put_text(out, "error", slice_of(error));
        show_messages_json(out, published->messages, published->count);
        buffer_append_text(out, "}\n");
        return;
    }
    buffer_append_format(out, "%s row %d  %s\n", attempt->path, row + 1, attempt->reaction->name);
    if (error) {
        buffer_append_text(out, "  failed: ");
        show_lines(out, slice_of(error));
    } else if (published->count == 0) {
        buffer_append_text(out, "  publishes nothing\n");
    }
    show_messages(out, published->messages, published->count);
}

static bool try_reaction_load(struct try_reaction *attempt, int *count, struct err *err) {
    if (!attempt->instance || !script_instance_healthy(attempt->instance)) {
        script_instance_destroy(attempt->instance);
        attempt->instance = script_instance_create(attempt->generation, err);
        if (!attempt->instance) {
            err->kind = ERR_INTERNAL;
            return false;
        }
        script_instance_mute(attempt->instance, "try touches no outside system");
    }
    bool ok;
    if (attempt->rows) {
        *count = pg_rows_count(attempt->rows);
        ok = script_react_to(attempt->instance, attempt->index, attempt->rows, err);
    } else {
        ok = script_react_to_json(attempt->instance, attempt->index, buffer_slice(&attempt->text),
                                  count, err);
    }
    return ok || err_wrap(err, "%s", attempt->path);
}

static bool try_reaction_row(struct try_reaction *attempt, int row, struct err *err) {
    struct script_published published;
    struct err failure = {0};
    int count;
    arena_reset(attempt->arena);
    bool failed = script_react(attempt->instance, attempt->index, row, attempt->arena, &published,
                               &failure) != SCRIPT_OK;
    attempt->failed += failed;
    try_reaction_show(attempt, row, &published, failed ? failure.text : NULL);
    return show_write(&attempt->out, err) &&
           (script_instance_healthy(attempt->instance) || try_reaction_load(attempt, &count, err));
}

static bool try_reaction_read_rows(struct try_reaction *attempt, struct err *err) {
    const struct try_reaction_options *options = attempt->options;
    if (options->path) {
        return samples_read_text(&attempt->text, options->path, &attempt->path, err);
    }
    struct reaction_keys keys = {options->keys, options->key_count};
    return reaction_rows_ask(attempt->generation, attempt->reaction, &keys, &attempt->path,
                             &attempt->rows, err);
}

/* The keys for which the query gives no row: the reaction publishes nothing for them. */
static bool try_reaction_show_missing(struct try_reaction *attempt, struct err *err) {
    struct buffer *out = &attempt->out;
    for (size_t i = 0; attempt->rows && i < attempt->options->key_count; i++) {
        const char *key = attempt->options->keys[i];
        if (reaction_rows_have(attempt->rows, slice_of(key))) {
            continue;
        }
        if (attempt->options->json) {
            buffer_append_text(out, "{");
            json_put_text(out, "reaction", slice_of(attempt->reaction->name));
            json_put_text(out, "missing_key", slice_of(key));
            buffer_append_text(out, "}\n");
        } else {
            buffer_append_format(out, "%s gives no row for the key ", attempt->path);
            buffer_append_json_string(out, slice_of(key));
            buffer_append_text(out, "\n");
        }
    }
    return show_write(out, err);
}

static bool try_reaction_all(struct try_reaction *attempt, struct err *err) {
    size_t count;
    int rows = 0;
    const struct script_reaction *reactions =
        script_generation_reactions(attempt->generation, &count);
    int index = which_script("reaction", attempt->options->reaction, reactions, count,
                             sizeof *reactions, err);
    if (index < 0) {
        return false;
    }
    attempt->index = (size_t)index;
    attempt->reaction = &reactions[index];
    bool ok =
        try_reaction_read_rows(attempt, err) && try_reaction_load(attempt, &rows, err) &&
        (rows > 0 || attempt->rows || err_set(err, ERR_INPUT, "%s has no row", attempt->path));
    for (int row = 0; ok && row < rows; row++) {
        ok = try_reaction_row(attempt, row, err);
    }
    return ok && try_reaction_show_missing(attempt, err);
}

bool try_reaction_run(const struct try_reaction_options *options, size_t *failed, struct err *err) {
    struct try_reaction attempt = {.options = options};
    attempt.generation = script_generation_load(options->config, 1, err);
    if (!attempt.generation) {
        err->kind = ERR_INTERNAL;
        return false;
    }
    attempt.arena = arena_create(ARENA_CHUNK_BYTES);
    bool ok = try_reaction_all(&attempt, err);
    *failed = attempt.failed;
    script_instance_destroy(attempt.instance);
    arena_destroy(attempt.arena);
    buffer_free(&attempt.text);
    pg_rows_free(attempt.rows);
    buffer_free(&attempt.out);
    script_generation_unref(attempt.generation);
    return ok;
}
