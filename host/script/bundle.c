/* bundle: all sources of a generation, in memory. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/regular_file.h"
#include "base/xalloc.h"
#include "script_private.h"

#define FILE_MAX_BYTES (1024UL * 1024)

/* The text is shrunk to its length: the files of all kept generations stay in memory. */
void bundle_append(struct bundle *bundle, const char *path, char *name, const struct buffer *text) {
    bundle->files = xrealloc(bundle->files, (bundle->count + 1) * sizeof *bundle->files);
    bundle->files[bundle->count++] =
        (struct bundle_file){name, xstrdup(path), xrealloc(text->data, text->len + 1), text->len};
}

bool bundle_read_file(struct bundle *bundle, const char *path, struct err *err) {
    struct buffer text = {0};
    if (!regular_file_read(AT_FDCWD, path, path, FILE_MAX_BYTES, &text, err)) {
        buffer_free(&text);
        return false;
    }
    bundle_append(bundle, path, xstrdup(path), &text);
    return true;
}

static int bundle_compare_files(const void *a, const void *b) {
    return strcmp(((const struct bundle_file *)a)->name, ((const struct bundle_file *)b)->name);
}

void bundle_finish(struct bundle *bundle) {
    if (bundle->count > 1) {
        qsort(bundle->files, bundle->count, sizeof *bundle->files, bundle_compare_files);
    }
    struct buffer all = {0};
    uint8_t hash[16];
    for (size_t i = 0; i < bundle->count; i++) {
        buffer_append(&all, bundle->files[i].name, strlen(bundle->files[i].name) + 1);
        buffer_append(&all, bundle->files[i].text, bundle->files[i].len + 1);
    }
    hash128(buffer_slice(&all), hash);
    buffer_free(&all);
    for (int i = 0; i < 16; i++) {
        snprintf(bundle->hash + i * 2, 3, "%02x", hash[i]);
    }
}

void bundle_fill(struct bundle *bundle, const struct script_source *sources, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct buffer text = {0};
        buffer_append(&text, sources[i].text.data, sources[i].text.len);
        bundle_append(bundle, sources[i].path, xstrdup(sources[i].name), &text);
    }
    bundle_finish(bundle);
}

const struct bundle_file *bundle_find(const struct bundle *bundle, const char *name) {
    struct bundle_file wanted = {.name = (char *)name};
    return bundle->count
               ? bsearch(&wanted, bundle->files, bundle->count, sizeof wanted, bundle_compare_files)
               : NULL;
}

const char *bundle_query_name(const struct bundle_file *file) {
    static const char folder[] = "queries/";
    bool query = strncmp(file->name, folder, sizeof folder - 1) == 0;
    return query ? file->name + sizeof folder - 1 : NULL;
}

bool bundle_is_lua(const struct bundle_file *file) {
    return !bundle_query_name(file) && strcmp(file->name, BUNDLE_API) != 0;
}

bool bundle_file_equal(const struct bundle_file *a, const struct bundle_file *b) {
    return a && b && a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

void bundle_free(struct bundle *bundle) {
    for (size_t i = 0; i < bundle->count; i++) {
        free(bundle->files[i].name);
        free(bundle->files[i].path);
        free(bundle->files[i].text);
    }
    free(bundle->files);
}
