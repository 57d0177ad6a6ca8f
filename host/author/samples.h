/* samples: the events of a file: JSON lines, each a record or a bare envelope (record.h), or one
 * such object over several lines. The file is read whole first. */
#pragma once

#include "base/buffer.h"
#include "record.h"

struct sample {
    size_t line; /* of its beginning, from 1 */
    struct record record;
};
struct samples {
    const struct script_generation *generation; /* its envelope identifies events; borrowed */
    const char *path;                           /* for errors */
    struct buffer text;                         /* the records point into it */
    struct sample *items;
    size_t count;
};

/* Reads a whole file; `name` is its name for errors. Path "-": standard input. False: ERR_INPUT. */
bool samples_read_bytes(struct buffer *bytes, const char *path, const char **name, struct err *err);
/* Reads a whole file and adds a NUL; `name` is its name for errors. Path "-": standard input.
 * False: ERR_INPUT. */
bool samples_read_text(struct buffer *text, const char *path, const char **name, struct err *err);
/* False: err names file and line; samples_free is still to be called. */
bool samples_read(struct samples *samples, const struct script_generation *generation,
                  const char *path, struct err *err);
void samples_free(struct samples *samples);
