#include "problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "xalloc.h"

#define ROOM_FOR_COUNT 64 /* bytes of the last line */

static int problems_compare(const void *a, const void *b) {
    const struct problem *one = a, *other = b;
    int order = strcmp(one->file, other->file);
    order = order ? order : (one->line > other->line) - (one->line < other->line);
    return order ? order : strcmp(one->text, other->text);
}

/* A name from outside may hold a line feed, which would look like a further problem. */
static void problems_keep_line(char *text) {
    for (char *at = strpbrk(text, "\r\n"); at; at = strpbrk(at, "\r\n")) {
        *at = ' ';
    }
}

void problems_add(struct problems *problems, const char *file, int line, const char *format, ...) {
    char text[ERR_TEXT_CAP];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    problems_keep_line(text);
    struct problem problem = {(char *)file, line, text};
    for (size_t i = 0; i < problems->count; i++) {
        if (problems_compare(&problem, &problems->items[i]) == 0) {
            return;
        }
    }
    problems->found++;
    if (problems->count < PROBLEMS_MAX) {
        problems->items[problems->count++] = (struct problem){xstrdup(file), line, xstrdup(text)};
    }
}

void problems_free(struct problems *problems) {
    for (size_t i = 0; i < problems->count; i++) {
        free(problems->items[i].file);
        free(problems->items[i].text);
    }
    *problems = (struct problems){0};
}

static void problems_append(struct buffer *line, const struct problem *problem) {
    if (problem->file[0] && problem->line > 0) {
        buffer_append_format(line, "%s:%d: ", problem->file, problem->line);
    } else if (problem->file[0]) {
        buffer_append_format(line, "%s: ", problem->file);
    }
    buffer_append_text(line, problem->text);
}

bool problems_report(struct problems *problems, struct err *err) {
    struct buffer text = {0};
    size_t shown = 0;
    if (problems->found == 0) {
        return true;
    }
    qsort(problems->items, problems->count, sizeof *problems->items, problems_compare);
    for (; shown < problems->count; shown++) {
        size_t before = text.len;
        buffer_append_text(&text, shown ? "\n" : "");
        problems_append(&text, &problems->items[shown]);
        if (shown > 0 && text.len + ROOM_FOR_COUNT > sizeof err->text) {
            text.len = before;
            text.data[before] = '\0';
            break;
        }
    }
    if (shown < problems->found) {
        buffer_append_format(&text, "\n… and %zu more problems", problems->found - shown);
    }
    err_set(err, ERR_INPUT, "%s", text.data);
    buffer_free(&text);
    return false;
}
