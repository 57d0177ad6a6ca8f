#include "nearest.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAX_WORD 64
#define MAX_EDITS 4

static size_t nearest_smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Edit distance with transpositions of two words of at most MAX_WORD letters. */
static size_t nearest_distance(const char *a, size_t a_len, const char *b, size_t b_len) {
    size_t rows[3][MAX_WORD + 1]; /* ring of the last three rows */
    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3], *above = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t change = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = nearest_smaller(change, nearest_smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = nearest_smaller(row[j], rows[(i - 2) % 3][j - 2] + 1);
            }
        }
    }
    return rows[a_len % 3][b_len];
}

/* A third of the letters behind the last slash or dot; of a short word one letter. */
static size_t nearest_allowed_edits(const char *word) {
    const char *folder = strrchr(word, '/'), *part = strrchr(word, '.');
    folder = part > folder ? part : folder;
    size_t len = strlen(folder ? folder + 1 : word);
    return len < 2 ? 0 : len < 6 ? 1 : nearest_smaller(len / 3, MAX_EDITS);
}

/* One word is a prefix of the other, of three letters or more: "warn", "warning". */
static bool nearest_begins_alike(const char *a, size_t a_len, const char *b, size_t b_len) {
    size_t len = nearest_smaller(a_len, b_len);
    return len >= 3 && strncmp(a, b, len) == 0;
}

const char *nearest_name(const char *word, const char *const *names, size_t count) {
    const char *nearest = NULL;
    size_t len = strlen(word), allowed = nearest_allowed_edits(word), least = allowed + 1;
    for (size_t i = 0; i < count && len <= MAX_WORD; i++) {
        size_t name_len = strlen(names[i]);
        size_t edits =
            name_len <= MAX_WORD ? nearest_distance(word, len, names[i], name_len) : least;
        if (nearest_begins_alike(word, len, names[i], name_len)) {
            edits = nearest_smaller(edits, allowed);
        }
        if (edits < least) {
            least = edits;
            nearest = names[i];
        }
    }
    return nearest;
}

const char *nearest_hint(char hint[NEAREST_HINT_CAP], const char *word, const char *const *names,
                         size_t count) {
    const char *nearest = nearest_name(word, names, count);
    if (nearest) {
        snprintf(hint, NEAREST_HINT_CAP, "did you mean \"%s\"?", nearest);
        return hint;
    }
    size_t len = (size_t)snprintf(hint, NEAREST_HINT_CAP, "there %s %s", count == 1 ? "is" : "are",
                                  count == 0 ? "none" : "");
    for (size_t i = 0; i < count; i++) {
        const char *before = i ? ", " : "";
        if (len + strlen(names[i]) + sizeof ", , …" > NEAREST_HINT_CAP) {
            snprintf(hint + len, NEAREST_HINT_CAP - len, "%s…", before);
            break;
        }
        len += (size_t)snprintf(hint + len, NEAREST_HINT_CAP - len, "%s%s", before, names[i]);
    }
    return hint;
}
