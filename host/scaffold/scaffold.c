/* scaffold: has scaffold.lua, which the binary carries, fill the templates, and writes the files,
 * all or none. */
#include "scaffold.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/folders.h"
#include "base/json_put.h"
#include "base/uuid.h"
#include "script/declared.h"
#include "script/text_report.h"
#include "new_failures.lua.h"
#include "new_handler.lua.h"
#include "new_handler_spec.lua.h"
#include "new_reaction.lua.h"
#include "new_reaction.sql.h"
#include "new_reaction_spec.lua.h"
#include "new_route.lua.h"
#include "new_route.sql.h"
#include "new_route_spec.lua.h"
#include "new_write.lua.h"
#include "new_write.sql.h"
#include "new_write_spec.lua.h"
#include "scaffold.lua.h"

bool scaffold_can_follow(const struct view_table *table) {
    bool has_key = false, has_version = false;
    for (size_t i = 0; i < table->key_count; i++) {
        has_key = has_key || view_is_tag(table->key[i].type);
    }
    for (size_t i = 0; i < table->group_count; i++) {
        has_version = has_version || table->groups[i].rule == VIEW_FIRST ||
                      table->groups[i].rule == VIEW_LATEST;
    }
    return has_key && has_version;
}

/* ---- the texts ----------------------------------------------------------------------------- */

static const struct {
    const char *kind;
    struct slice script, spec, query;
} templates[] = {
    {"handler", EMBEDDED_TEXT(new_handler_lua), EMBEDDED_TEXT(new_handler_spec_lua), {NULL, 0}},
    {"route", EMBEDDED_TEXT(new_route_lua), EMBEDDED_TEXT(new_route_spec_lua),
     EMBEDDED_TEXT(new_route_sql)},
    {"write", EMBEDDED_TEXT(new_write_lua), EMBEDDED_TEXT(new_write_spec_lua),
     EMBEDDED_TEXT(new_write_sql)},
    {"reaction", EMBEDDED_TEXT(new_reaction_lua), EMBEDDED_TEXT(new_reaction_spec_lua),
     EMBEDDED_TEXT(new_reaction_sql)},
};

static bool scaffold_has_source(const struct script_generation *generation, const char *name) {
    struct script_source source;
    for (size_t i = 0; script_generation_source(generation, i, &source); i++) {
        if (strcmp(source.name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void scaffold_put_request(struct buffer *json, const struct scaffold_request *request,
                                 const struct script_generation *generation) {
    const struct config *config = script_generation_config(generation);
    uint8_t uuid[16];
    uuid_generate_v4(uuid);
    buffer_append_text(json, "{");
    json_put_text(json, "kind", slice_of(request->kind));
    json_put_text(json, "name", slice_of(request->name));
    json_put_text(json, "topic", slice_of(request->topic));
    json_put_text(json, "path", slice_of(request->path));
    json_put_text(json, "method", slice_of(request->method));
    json_put_text(json, "table", slice_of(request->table ? request->table->name : NULL));
    json_put_text(json, "root", slice_of(config->scripts.root));
    json_put_text(json, "sql", slice_of(config->scripts.sql));
    json_put_uuid(json, "uuid", uuid);
    json_put_text(json, "failures",
                  scaffold_has_source(generation, "lib/failures") ? (struct slice){NULL, 0}
                                                                  : EMBEDDED(new_failures_lua));
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++) {
        if (strcmp(templates[i].kind, request->kind) == 0) {
            json_put_text(json, "script", templates[i].script);
            json_put_text(json, "spec", templates[i].spec);
            json_put_text(json, "query", templates[i].query);
        }
    }
    declared_put(json, generation, true);
    buffer_append_text(json, "}");
}

bool scaffold_fill(struct scaffold *scaffold, const struct scaffold_request *request,
                   const struct script_generation *generation, struct err *err) {
    struct buffer json = {0}, files = {0};
    scaffold_put_request(&json, request, generation);
    struct text_report report = {
        .name = "scaffold", .chunk = EMBEDDED(scaffold_lua), .json = buffer_slice(&json)};
    bool ok = text_report_append(&report, &files, err);
    for (const char *at = files.data; ok && at < files.data + files.len;) {
        struct scaffold_file *file = &scaffold->files[scaffold->count++];
        snprintf(file->path, sizeof file->path, "%s", at);
        at += strlen(at) + 1;
        buffer_append_text(&file->text, at);
        at += strlen(at) + 1;
    }
    buffer_free(&json);
    buffer_free(&files);
    return ok;
}

/* ---- the files ----------------------------------------------------------------------------- */

/* "x" fails if the file exists. */
static bool scaffold_write_text(const struct scaffold_file *file, struct err *err) {
    FILE *out = fopen(file->path, "wxe");
    if (!out) {
        return err_set(err, ERR_INPUT, "%s cannot be written: %s", file->path, strerror(errno));
    }
    bool whole = fwrite(file->text.data, 1, file->text.len, out) == file->text.len;
    if (fclose(out) != 0 || !whole) {
        err_set(err, ERR_INPUT, "%s cannot be written: %s", file->path, strerror(errno));
        (void)unlink(file->path);
        return false;
    }
    return true;
}

static bool scaffold_write_file(struct scaffold_file *file, struct err *err) {
    bool ok = folders_make(file->path, 0777, &file->made, err) && scaffold_write_text(file, err);
    if (!ok) {
        folders_remove(file->path, file->made);
    }
    return ok;
}

/* The last ones come first: their folders are inside those of the first ones. */
static void scaffold_remove_first(const struct scaffold *scaffold, size_t count) {
    while (count-- > 0) {
        const struct scaffold_file *file = &scaffold->files[count];
        (void)unlink(file->path);
        folders_remove(file->path, file->made);
    }
}

bool scaffold_write(struct scaffold *scaffold, struct err *err) {
    for (size_t i = 0; i < scaffold->count; i++) {
        if (access(scaffold->files[i].path, F_OK) == 0) {
            return err_set(err, ERR_INPUT, "%s exists: nothing was written; choose another name",
                           scaffold->files[i].path);
        }
    }
    for (size_t i = 0; i < scaffold->count; i++) {
        if (!scaffold_write_file(&scaffold->files[i], err)) {
            scaffold_remove_first(scaffold, i);
            return false;
        }
    }
    return true;
}

void scaffold_remove(const struct scaffold *scaffold) {
    scaffold_remove_first(scaffold, scaffold->count);
}

void scaffold_free(struct scaffold *scaffold) {
    for (size_t i = 0; i < scaffold->count; i++) {
        buffer_free(&scaffold->files[i].text);
    }
    scaffold->count = 0;
}
