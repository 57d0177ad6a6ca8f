/* scaffold: the files that `aggregator new` writes, from embedded templates with `@word@`. */
#pragma once

#include "base/buffer.h"
#include "config/config.h"
#include "base/err.h"
#include "script/script.h"

#define SCAFFOLD_MAX_FILES 16

struct scaffold_file {
    char path[4096];
    struct buffer text;
    size_t made; /* scaffold_write's: the folders that it created, of folders_make */
};
struct scaffold {
    struct scaffold_file files[SCAFFOLD_MAX_FILES];
    size_t count;
};

struct scaffold_request {
    const char *kind; /* "handler", "route" (GET), "write" (a route with a body), "reaction" */
    const char *name;
    const char *topic; /* of a handler or reaction */
    const char *path;  /* of a route, as is the method */
    const char *method;
    const struct view_table *table; /* that a reaction follows */
};

/* Fills in the files. ERR_INPUT: the path has more than segments of text and {names}. */
bool scaffold_fill(struct scaffold *scaffold, const struct scaffold_request *request,
                   const struct script_generation *generation, struct err *err);
/* Fills in the files of a service in the folder `name`, which needs no present scripts. */
void scaffold_fill_service(struct scaffold *scaffold, const char *name);
/* Writes all files and missing folders, or nothing: fails if a file exists. */
bool scaffold_write(struct scaffold *scaffold, struct err *err);
/* Deletes the written files and the folders created for them. */
void scaffold_remove(const struct scaffold *scaffold);
void scaffold_free(struct scaffold *scaffold);

/* Whether the table has a column of text, uuid, integer or bigint in its key, and a group with a
 * version. */
bool scaffold_can_follow(const struct view_table *table);
