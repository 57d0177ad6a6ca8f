/* text_report: a JSON object as text for people, by a Lua chunk that the binary carries. */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/err.h"

/* An embedded text without the NUL behind it; EMBEDDED_TEXT is for constant initialisers. */
#define EMBEDDED_TEXT(array)                                                                       \
    { (const char *)(array), sizeof(array) - 1 }
#define EMBEDDED(array) ((struct slice)EMBEDDED_TEXT(array))

#define TEXT_REPORT_MAX_HELPERS 4

struct text_report {
    const char *name; /* of the chunk, for errors */
    /* Its arguments: the module json, the object, the limit, the helpers' results. It returns the
     * text. */
    struct slice chunk;
    /* Further chunks, each of which returns one value. Their arguments: the module json, the
     * results of the helpers before. */
    struct slice helpers[TEXT_REPORT_MAX_HELPERS];
    struct slice json;
    int64_t limit; /* of a list that the chunk prints */
};

/* Appends the text. False: err says what is wrong with the object. */
bool text_report_append(const struct text_report *report, struct buffer *out, struct err *err);
bool text_report_print(const struct text_report *report, FILE *out, struct err *err);
