/* scaffold: the files that `aggregator new` writes, from embedded templates with `@word@`. */
#pragma once

#include "base/buffer.h"
#include "config/config.h"
#include "base/err.h"
#include "script/script.h"

#define SCAFFOLD_MAX_FILES 4

struct scaffold_file {
    char path[4096];
    struct buffer text;
};
struct scaffold {
    struct scaffold_file files[SCAFFOLD_MAX_FILES];
    size_t count;
};

struct scaffold_word {
    const char *name;
    const char *text;
};

/* Adds a file: the template with its words replaced. A word without name ends `words`. */
void scaffold_add(struct scaffold *scaffold, const char *path, const unsigned char *template,
                  const struct scaffold_word *words);
/* Writes all files and missing folders, or nothing: fails if a file exists. */
bool scaffold_write(const struct scaffold *scaffold, struct err *err);
/* Deletes the written files. */
void scaffold_remove(const struct scaffold *scaffold);
void scaffold_free(struct scaffold *scaffold);

/* handler.c, route.c: the files of a handler for a topic, and of a route for a path. Both texts are
 * checked before. */
void scaffold_handler(struct scaffold *scaffold, const struct script_generation *generation,
                      const char *name, const char *topic);
void scaffold_route(struct scaffold *scaffold, const struct config *config, const char *name,
                    const char *path);
/* reaction.c: the files of a reaction that follows a table of the view. */
void scaffold_reaction(struct scaffold *scaffold, const struct config *config, const char *name,
                       const char *topic, const struct view_table *table);
/* Whether the table has a text column in its key, and a group with a version. */
bool scaffold_can_follow(const struct view_table *table);
/* Whether the path has only segments of text or {names}. */
bool scaffold_check_path(const char *path, struct err *err);
