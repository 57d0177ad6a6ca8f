/* scaffold: fills templates and writes the files, all or none. */
#include "scaffold.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/folders.h"

/* The text of the word at `at`, and its length. NULL: no word. */
static const char *scaffold_find_word(const char *at, const struct scaffold_word *words,
                                      size_t *len) {
    for (; words->name; words++) {
        *len = strlen(words->name) + 2;
        if (at[0] == '@' && strncmp(at + 1, words->name, *len - 2) == 0 && at[*len - 1] == '@') {
            return words->text;
        }
    }
    return NULL;
}

static void scaffold_fill(struct buffer *out, const char *template,
                          const struct scaffold_word *words) {
    while (*template) {
        size_t len;
        const char *text = scaffold_find_word(template, words, &len);
        if (text) {
            buffer_append_text(out, text);
            template += len;
        } else {
            buffer_append(out, template ++, 1);
        }
    }
}

void scaffold_add(struct scaffold *scaffold, const char *path, const unsigned char *template,
                  const struct scaffold_word *words) {
    struct scaffold_file *file = &scaffold->files[scaffold->count++];
    snprintf(file->path, sizeof file->path, "%s", path);
    scaffold_fill(&file->text, (const char *)template, words);
}

/* "x" fails if the file exists. */
static bool scaffold_write_file(const struct scaffold_file *file, struct err *err) {
    FILE *out = folders_make(file->path, 0777, err) ? fopen(file->path, "wxe") : NULL;
    if (!out) {
        return err->kind != ERR_NONE ? false
                                     : err_set(err, ERR_INPUT, "%s cannot be written: %s",
                                               file->path, strerror(errno));
    }
    bool whole = fwrite(file->text.data, 1, file->text.len, out) == file->text.len;
    if (fclose(out) != 0 || !whole) {
        (void)unlink(file->path);
        return err_set(err, ERR_INPUT, "%s cannot be written: %s", file->path, strerror(errno));
    }
    return true;
}

bool scaffold_write(const struct scaffold *scaffold, struct err *err) {
    for (size_t i = 0; i < scaffold->count; i++) {
        if (access(scaffold->files[i].path, F_OK) == 0) {
            return err_set(err, ERR_INPUT, "%s exists: nothing was written; choose another name",
                           scaffold->files[i].path);
        }
    }
    for (size_t i = 0; i < scaffold->count; i++) {
        if (!scaffold_write_file(&scaffold->files[i], err)) {
            while (i-- > 0) {
                (void)unlink(scaffold->files[i].path);
            }
            return false;
        }
    }
    return true;
}

void scaffold_remove(const struct scaffold *scaffold) {
    for (size_t i = 0; i < scaffold->count; i++) {
        (void)unlink(scaffold->files[i].path);
    }
}

void scaffold_free(struct scaffold *scaffold) {
    for (size_t i = 0; i < scaffold->count; i++) {
        buffer_free(&scaffold->files[i].text);
    }
    scaffold->count = 0;
}
