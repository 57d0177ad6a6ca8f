#include "samples.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json_scan.h"
#include "base/xalloc.h"

#define READ_BYTES 65536

/* ---- the text ------------------------------------------------------------------------------ */

static bool samples_read_stream(FILE *file, struct buffer *text) {
    size_t got;
    do {
        got = fread(buffer_reserve(text, READ_BYTES), 1, READ_BYTES, file);
        text->len += got;
    } while (got > 0);
    buffer_append(text, "", 0); /* ends it with a NUL */
    return !ferror(file);
}

bool samples_read_bytes(struct buffer *text, const char *path, const char **name, struct err *err) {
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    *name = is_stdin ? "standard input" : path;
    bool ok = file && samples_read_stream(file, text);
    if (!ok) {
        err_set(err, ERR_INPUT, "%s cannot be read: %s", *name, strerror(errno));
    }
    if (file && !is_stdin) {
        fclose(file);
    }
    return ok;
}

bool samples_read_text(struct buffer *text, const char *path, const char **name, struct err *err) {
    bool ok = samples_read_bytes(text, path, name, err);
    const char *nul = ok ? memchr(text->data, '\0', text->len) : NULL;
    return nul ? err_set(err, ERR_INPUT, "%s holds a NUL byte, at byte %zd", *name,
                         nul - text->data)
               : ok;
}

/* ---- the events ---------------------------------------------------------------------------- */

static bool samples_is_blank(const char *text) {
    return text[strspn(text, " \t\r\n")] == '\0';
}

static size_t samples_count_lines(const char *from, const char *to) {
    size_t count = 0;
    for (; from < to; from++) {
        count += *from == '\n';
    }
    return count;
}

static bool samples_add(struct samples *samples, char *text, size_t line, struct err *err) {
    struct sample sample = {.line = line};
    size_t at;
    if (!record_read_event(samples->generation, text, &sample.record, &at, err)) {
        size_t begins = strspn(text, " \t\r\n");
        at = at > begins ? at : begins;
        return err_wrap(err, "%s:%zu", samples->path, line + samples_count_lines(text, text + at));
    }
    samples->items = xrealloc(samples->items, (samples->count + 1) * sizeof *samples->items);
    samples->items[samples->count++] = sample;
    return true;
}

static bool samples_add_lines(struct samples *samples, struct err *err) {
    size_t number = 1;
    for (char *line = samples->text.data, *next; line; line = next, number++) {
        char *end = strchr(line, '\n');
        next = end ? end + 1 : NULL;
        if (end) {
            *end = '\0';
        }
        if (!samples_is_blank(line) && !samples_add(samples, line, number, err)) {
            return false;
        }
    }
    return true;
}

/* False: the object takes several lines. */
static bool samples_first_line_is_whole(const char *text) {
    struct json_cursor cursor;
    struct json_value value;
    text += strspn(text, " \t\r\n");
    json_begin(&cursor, (struct slice){text, strcspn(text, "\n")});
    return json_read(&cursor, &value) && json_finish(&cursor);
}

bool samples_read(struct samples *samples, const struct script_generation *generation,
                  const char *path, struct err *err) {
    *samples = (struct samples){.generation = generation};
    if (!samples_read_text(&samples->text, path, &samples->path, err)) {
        return false;
    }
    char *text = samples->text.data;
    if (samples_is_blank(text)) {
        return err_set(err, ERR_INPUT, "%s has no event", samples->path);
    }
    if (samples_first_line_is_whole(text)) {
        return samples_add_lines(samples, err);
    }
    size_t blank = strspn(text, " \t\r\n");
    return samples_add(samples, text + blank, 1 + samples_count_lines(text, text + blank), err);
}

void samples_free(struct samples *samples) {
    buffer_free(&samples->text);
    free(samples->items);
    *samples = (struct samples){0};
}
