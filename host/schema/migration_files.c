#include "migration_files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/regular_file.h"
#include "base/xalloc.h"
#include "program_schema.h"

#define FILE_MAX_BYTES (16UL * 1024 * 1024)

void migration_files_free(struct migrations *migrations) {
    for (size_t i = 0; i < migrations->count; i++) {
        buffer_free(&migrations->items[i].name);
        buffer_free(&migrations->items[i].sql);
    }
    free(migrations->items);
}

static struct migration *migration_files_add(struct migrations *migrations,
                                             enum migration_owner owner) {
    migrations->items =
        xrealloc(migrations->items, (migrations->count + 1) * sizeof *migrations->items);
    struct migration *migration = &migrations->items[migrations->count++];
    *migration = (struct migration){.owner = owner, .version = MIGRATION_UNNUMBERED};
    return migration;
}

static int migration_files_is_sql(const struct dirent *entry) {
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > 4 && strcmp(entry->d_name + len - 4, ".sql") == 0;
}

bool migration_files_version(const char *name, int *version) {
    *version = 0;
    for (int i = 0; i < 4; i++) {
        if (!isdigit((unsigned char)name[i])) {
            return false;
        }
        *version = *version * 10 + (name[i] - '0');
    }
    return name[4] == '_';
}

static void migration_files_add_program(struct migrations *migrations) {
    for (const struct program_schema_file *file = program_schema_files; file->name; file++) {
        struct migration *migration = migration_files_add(migrations, MIGRATION_OF_PROGRAM);
        if (!migration_files_version(file->name, &migration->version)) {
            migration->version = MIGRATION_UNNUMBERED;
            buffer_append_text(&migration->name, PROGRAM_SCHEMA "/");
        }
        buffer_append_text(&migration->name, file->name);
        buffer_append_text(&migration->sql, file->sql);
        if (migrations->on_citus && file->sql == program_schema_functions) {
            buffer_append_text(&migration->sql, program_schema_citus);
        }
    }
}

static bool migration_files_number(struct migrations *migrations, const char *name,
                                   struct err *err) {
    struct migration *migration = &migrations->items[migrations->count - 1];
    if (!migration_files_version(name, &migration->version)) {
        return err_set(err, ERR_INPUT, "%s: must be named NNNN_name.sql", name);
    }
    bool is_second = migrations->count > 1 && migration[-1].owner == MIGRATION_OF_SERVICE &&
                     migration->version == migration[-1].version;
    return !is_second ||
           err_set(err, ERR_INPUT, "%s and %s have the same number: renumber one of them",
                   migration[-1].name.data, name);
}

/* On Citus functions/citus/NAME.sql takes the place of functions/NAME.sql, if it is there. */
static void migration_files_place(const char *root, const char *folder, const char *name,
                                  bool on_citus, struct buffer *path) {
    if (on_citus) {
        buffer_append_format(path, "%s/%s/citus/%s", root, folder, name);
        if (access(path->data, F_OK) == 0) {
            return;
        }
        buffer_clear(path);
    }
    buffer_append_format(path, "%s/%s/%s", root, folder, name);
}

static bool migration_files_read_file(const char *root, const char *folder, const char *name,
                                      bool is_numbered, struct migrations *migrations,
                                      struct err *err) {
    struct migration *migration = migration_files_add(migrations, MIGRATION_OF_SERVICE);
    struct buffer path = {0};
    buffer_append_format(&migration->name, "%s%s%s", is_numbered ? "" : folder,
                         is_numbered ? "" : "/", name);
    migration_files_place(root, folder, name, migrations->on_citus && !is_numbered, &path);
    bool ok = (!is_numbered || migration_files_number(migrations, name, err)) &&
              regular_file_read(AT_FDCWD, path.data, migration->name.data, FILE_MAX_BYTES,
                                &migration->sql, err);
    buffer_free(&path);
    return ok;
}

/* The folder of the functions may be missing. */
static bool migration_files_read_folder(const char *root, const char *folder, bool is_numbered,
                                        struct migrations *migrations, struct err *err) {
    struct buffer path = {0};
    struct dirent **entries = NULL;
    buffer_append_format(&path, "%s/%s", root, folder);
    int count = scandir(path.data, &entries, migration_files_is_sql, alphasort);
    bool ok = count >= 0 || (!is_numbered && errno == ENOENT) ||
              err_set(err, ERR_INPUT, "%s: %s", path.data, strerror(errno));
    for (int i = 0; i < count; i++) {
        ok = ok && migration_files_read_file(root, folder, entries[i]->d_name, is_numbered,
                                             migrations, err);
        free(entries[i]);
    }
    free(entries);
    buffer_free(&path);
    return ok;
}

bool migration_files_read(const struct config *config, bool on_citus, struct migrations *migrations,
                          struct err *err) {
    migrations->on_citus = on_citus;
    migration_files_add_program(migrations);
    return migration_files_read_numbered(config, migrations, err) &&
           migration_files_read_folder(config->scripts.sql, "functions", false, migrations, err);
}

bool migration_files_read_numbered(const struct config *config, struct migrations *migrations,
                                   struct err *err) {
    return migration_files_read_folder(config->scripts.sql, "migrations", true, migrations, err);
}
