/* findings: what `aggregator check` found: as text for people, as one JSON object, or as
 * annotations of a workflow on GitHub. One thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

enum findings_format { FINDINGS_TEXT, FINDINGS_JSON, FINDINGS_GITHUB };

enum finding_level { FINDING_GOOD, FINDING_WARNING, FINDING_ERROR };

struct findings { /* begin: {.format = …} */
    enum findings_format format;
    struct buffer json; /* the list so far; FINDINGS_JSON only */
    size_t errors;
};

/* The format of its name: "text", "json" or "github"; NULL: text. */
enum findings_format findings_format_of(const char *name);

/* Adds one finding about a part ("scripts", "database"), or several: each line of the text that
 * begins with "FILE:LINE: " or "FILE: ", where FILE exists, begins one. Text and annotations are
 * printed at once, text of warnings and errors on standard error. Always `level < FINDING_ERROR`.
 */
bool findings_add(struct findings *findings, enum finding_level level, const char *about,
                  const char *text);

/* Prints the JSON object {"good": …, "findings": [{"level", "about", "file", "line", "text"}]},
 * file and line null where there is none, and frees. Returns the exit status: 0 without errors,
 * else 1. */
int findings_finish(struct findings *findings);
