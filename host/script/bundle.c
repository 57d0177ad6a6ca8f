/* bundle: all sources, read at once, so that a generation is never a mixture. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "../base/buffer.h"
#include "../base/hash.h"
#include "../base/xalloc.h"
#include "script_private.h"

#define MAX_FILE_BYTES (1024UL * 1024)

static bool read_whole(const char *path, struct buffer *text, struct err *err) {
    FILE *file = fopen(path, "re");
    if (!file) {
        return err_set(err, ERR_INPUT, "%s cannot be read: %s", path, strerror(errno));
    }
    size_t got;
    do {
        char *to = buffer_reserve(text, 65536);
        got = fread(to, 1, 65536, file);
        text->len += got;
    } while (got > 0 && text->len <= MAX_FILE_BYTES);
    bool failed = ferror(file);
    fclose(file);
    buffer_append(text, "", 0);
    if (failed || text->len > MAX_FILE_BYTES) {
        return err_set(err, ERR_INPUT, "%s cannot be read, or is over 1 MiB", path);
    }
    return true;
}

/* Takes over the text, without the room that it was read into: the files of all generations that
 * are kept stay in memory. */
static void append(struct bundle *bundle, const char *path, char *name, const struct buffer *text) {
    bundle->files = xrealloc(bundle->files, (bundle->count + 1) * sizeof *bundle->files);
    bundle->files[bundle->count++] =
        (struct bundle_file){name, xstrdup(path), xrealloc(text->data, text->len + 1), text->len};
}

static bool add_file(struct bundle *bundle, const char *path, const char *name, size_t name_len,
                     struct err *err) {
    struct buffer text = {0};
    if (!read_whole(path, &text, err)) {
        buffer_free(&text);
        return false;
    }
    append(bundle, path, xstrndup(name, name_len), &text);
    return true;
}

bool bundle_read_file(struct bundle *bundle, const char *path, struct err *err) {
    return add_file(bundle, path, path, strlen(path), err);
}

static bool ends_with(const char *name, const char *ending) {
    size_t len = strlen(name), end = strlen(ending);
    return len > end && strcmp(name + len - end, ending) == 0;
}

/* Adds every file with the ending below root/folder; names are relative to root, without it. */
static bool read_folder(struct bundle *bundle, const char *root, const char *folder,
                        const char *ending, struct err *err) {
    char path[4096], name[1024];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", root, folder);
    DIR *dir = opendir(path);
    if (!dir) {
        return err_set(err, ERR_INPUT, "%s cannot be read: %s", path, strerror(errno));
    }
    bool ok = true;
    struct dirent *entry;
    while (ok && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(name, sizeof name, "%s%s%s", folder, folder[0] ? "/" : "", entry->d_name);
        snprintf(path, sizeof path, "%.2048s/%s", root, name);
        if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
            ok = read_folder(bundle, root, name, ending, err);
        } else if (ends_with(name, ending)) {
            ok = add_file(bundle, path, name, strlen(name) - strlen(ending), err);
        }
    }
    closedir(dir);
    return ok;
}

static int compare_files(const void *a, const void *b) {
    return strcmp(((const struct bundle_file *)a)->name, ((const struct bundle_file *)b)->name);
}

static void sort_files(struct bundle *bundle) {
    if (bundle->count > 1) {
        qsort(bundle->files, bundle->count, sizeof *bundle->files, compare_files);
    }
}

bool bundle_read_lua(struct bundle *bundle, const char *root, struct err *err) {
    bool ok = read_folder(bundle, root, "", ".lua", err);
    sort_files(bundle);
    return ok;
}

static void sort_and_hash(struct bundle *bundle) {
    sort_files(bundle);
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

bool bundle_read(struct bundle *bundle, const struct config *config, struct err *err) {
    bool ok = read_folder(bundle, config->scripts.root, "", ".lua", err) &&
              read_folder(bundle, config->scripts.sql, "queries", ".sql", err);
    if (ok) {
        sort_and_hash(bundle);
    }
    return ok;
}

void bundle_fill(struct bundle *bundle, const struct script_source *sources, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct buffer text = {0};
        buffer_append(&text, sources[i].text.data, sources[i].text.len);
        append(bundle, sources[i].path, xstrdup(sources[i].name), &text);
    }
    sort_and_hash(bundle);
}

const struct bundle_file *bundle_find(const struct bundle *bundle, const char *name) {
    struct bundle_file wanted = {.name = (char *)name};
    return bundle->count
               ? bsearch(&wanted, bundle->files, bundle->count, sizeof wanted, compare_files)
               : NULL;
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
