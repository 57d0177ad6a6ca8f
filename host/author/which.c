#include "which.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/nearest.h"
#include "base/xalloc.h"

static const char *which_name(const void *scripts, size_t index, size_t size) {
    return *(const char *const *)((const char *)scripts + index * size);
}

static const char *which_bare(const char *name) {
    return strchr(name, '/') + 1;
}

static bool which_is(const char *word, const char *name) {
    static const char ending[] = ".lua";
    const char *bare = which_bare(name);
    size_t len = strlen(word), name_len = strlen(name);
    size_t end = sizeof ending - 1;
    len -= len > end && strcmp(word + len - end, ending) == 0 ? end : 0;
    if (len == strlen(bare) && strncmp(word, bare, len) == 0) {
        return true;
    }
    return len >= name_len && strncmp(word + len - name_len, name, name_len) == 0 &&
           (len == name_len || word[len - name_len - 1] == '/');
}

static void which_refuse(const char *kind, const char *word, const char **names, size_t count,
                         struct err *err) {
    struct buffer all = {0};
    for (size_t i = 0; i < count; i++) {
        buffer_append_format(&all, "%s%s", i ? ", " : "", names[i]);
    }
    const char *nearest = nearest_name(word, names, count);
    if (nearest) {
        err_set(err, ERR_INPUT, "no %s \"%s\": did you mean \"%s\"? There are: %s", kind, word,
                nearest, all.data);
    } else {
        err_set(err, ERR_INPUT, "no %s \"%s\". There are: %s", kind, word,
                all.len ? all.data : "none");
    }
    buffer_free(&all);
}

int which_script(const char *kind, const char *word, const void *scripts, size_t count, size_t size,
                 struct err *err) {
    const char **names = xcalloc(count + 1, sizeof *names);
    int found = -1;
    for (size_t i = 0; i < count && found < 0; i++) {
        names[i] = which_bare(which_name(scripts, i, size));
        found = which_is(word, which_name(scripts, i, size)) ? (int)i : -1;
    }
    if (found < 0) {
        which_refuse(kind, word, names, count, err);
    }
    free(names);
    return found;
}
