/* samples: the events of a file that an author wrote or recorded: JSON lines, each a record or a
 * bare envelope (record.h), or one such object over several lines. Read whole before any is
 * handled. */
#ifndef AGG_HOST_AUTHOR_SAMPLES_H
#define AGG_HOST_AUTHOR_SAMPLES_H

#include "base/buffer.h"
#include "record.h"

struct sample {
    size_t line; /* where it begins, from 1 */
    struct record record;
};
struct samples {
    const struct script_generation *generation; /* whose envelope tells an event; borrowed */
    const char *path;                           /* as messages name it */
    struct buffer text;                         /* what records point into */
    struct sample *items;
    size_t count;
};

/* The whole of a file, with a NUL behind it; `name` is the path as messages name it. "-" is
 * standard input. False: ERR_INPUT. */
bool samples_read_text(struct buffer *text, const char *path, const char **name, struct err *err);
/* "-" is standard input. False: err names file and line; samples_free is still to be called. */
bool samples_read(struct samples *samples, const struct script_generation *generation,
                  const char *path, struct err *err);
void samples_free(struct samples *samples);

#endif
