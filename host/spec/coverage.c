/* coverage: counts executed lines per file. */
#include "coverage.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "script/script_private.h"

struct covered {
    const struct bundle_file *file;
    bool *lines; /* by number, from 1 */
    int line_count;
};

struct coverage {
    struct covered *files;
    size_t count;
    size_t last; /* the file of the last line counted: the next is likely in it */
};

static int coverage_count_lines(const struct bundle_file *file) {
    int lines = 1;
    for (size_t i = 0; i < file->len; i++) {
        lines += file->text[i] == '\n';
    }
    return lines;
}

struct coverage *coverage_create(const struct bundle *bundle) {
    struct coverage *coverage = xcalloc(1, sizeof *coverage);
    coverage->files = xcalloc(bundle->count + 1, sizeof *coverage->files);
    for (size_t i = 0; i < bundle->count; i++) {
        const struct bundle_file *file = &bundle->files[i];
        if (!bundle_is_lua(file)) {
            continue;
        }
        int lines = coverage_count_lines(file);
        coverage->files[coverage->count++] =
            (struct covered){file, xcalloc((size_t)lines + 1, sizeof(bool)), lines};
    }
    return coverage;
}

void coverage_destroy(struct coverage *coverage) {
    if (!coverage) {
        return;
    }
    for (size_t i = 0; i < coverage->count; i++) {
        free(coverage->files[i].lines);
    }
    free(coverage->files);
    free(coverage);
}

static struct covered *coverage_find_file(struct coverage *coverage, const char *path) {
    for (size_t i = 0; i < coverage->count; i++) {
        size_t at = (coverage->last + i) % coverage->count;
        if (strcmp(coverage->files[at].file->path, path) == 0) {
            coverage->last = at;
            return &coverage->files[at];
        }
    }
    return NULL;
}

void coverage_count(struct coverage *coverage, lua_State *L, lua_Debug *where) {
    if (!lua_getinfo(L, "S", where) || where->source[0] != '@') {
        return;
    }
    struct covered *covered = coverage_find_file(coverage, where->source + 1);
    if (covered && where->currentline > 0 && where->currentline <= covered->line_count) {
        covered->lines[where->currentline] = true;
    }
}

void coverage_push(const struct coverage *coverage, lua_State *L) {
    lua_createtable(L, (int)coverage->count, 0);
    for (size_t i = 0; i < coverage->count; i++) {
        const struct covered *covered = &coverage->files[i];
        lua_createtable(L, 0, 3);
        lua_pushstring(L, covered->file->path);
        lua_setfield(L, -2, "path");
        lua_pushlstring(L, covered->file->text, covered->file->len);
        lua_setfield(L, -2, "text");
        lua_newtable(L);
        for (int line = 1; line <= covered->line_count; line++) {
            if (covered->lines[line]) {
                lua_pushboolean(L, 1);
                lua_rawseti(L, -2, line);
            }
        }
        lua_setfield(L, -2, "hits");
        lua_rawseti(L, -2, (int)i + 1);
    }
}
