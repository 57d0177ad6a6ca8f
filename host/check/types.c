/* types: writes LuaCATS definitions. The classes extend those of docs/types. */
#include "types.h"

#include "bindings/pg_named.h"
#include "script/script_private.h"
#include "query_columns.h"

static const char header[] =
    "---@meta _\n"
    "\n"
    "--- Written by `aggregator types` from the declarations of the scripts: do not edit.\n";

/* Appends a class name: dots replace the slashes of a file's name. */
static void check_types_add_class(struct buffer *text, const char *prefix, const char *name) {
    buffer_append_text(text, prefix);
    size_t start = text->len;
    buffer_append_text(text, name);
    for (size_t i = start; i < text->len; i++) {
        text->data[i] = text->data[i] == '/' ? '.' : text->data[i];
    }
}

/* ---- view --------------------------------------------------------------------------------- */

/* What handlers write: a time is a number. */
static const char *check_types_column_type(const struct view_column *column) {
    return column->type == VIEW_TIMESTAMP ? "integer" : query_columns_lua_type(column->type);
}

static void check_types_add_group(struct buffer *text, const struct view_table *table,
                                  const struct view_group *group) {
    buffer_append_format(text, "\n---@class view.%s.%s\n", table->name, group->name);
    for (size_t i = 0; i < group->column_count; i++) {
        const struct view_column *column = &group->columns[i];
        buffer_append_format(text, "---@field %s? %s %s\n", column->name,
                             check_types_column_type(column), column->sql_type);
    }
}

/* A string is enough if one column of the key is given. */
static const char *check_types_key_type(const struct view_table *table) {
    size_t given = 0;
    for (size_t i = 0; i < table->key_count; i++) {
        given += table->key[i].type != VIEW_CONTENT;
    }
    return given > 1 ? "string[]" : "string|string[]";
}

/* One field per group: a language server reads them as overloads. */
static void check_types_add_table(struct buffer *text, const struct view_table *table) {
    for (size_t g = 0; g < table->group_count; g++) {
        check_types_add_group(text, table, &table->groups[g]);
    }
    buffer_append_format(text, "\n---@class view.%s: ViewTable\n", table->name);
    for (size_t g = 0; g < table->group_count; g++) {
        const char *group = table->groups[g].name;
        buffer_append_format(text,
                             "---@field merge fun(self: view.%s, key: %s, group: \"%s\", "
                             "columns: view.%s.%s)\n",
                             table->name, check_types_key_type(table), group, table->name, group);
    }
}

static void check_types_add_view(struct buffer *text, const struct view *view) {
    for (size_t i = 0; i < view->table_count; i++) {
        check_types_add_table(text, &view->tables[i]);
    }
    buffer_append_text(text, "\n---@class View\n");
    for (size_t i = 0; i < view->table_count; i++) {
        const char *name = view->tables[i].name;
        buffer_append_format(text, "---@field %s view.%s\n", name, name);
    }
}

/* ---- handlers ----------------------------------------------------------------------------- */

static const char *check_types_field_type(enum field_type type) {
    switch (type) {
    case FIELD_INTEGER:
    case FIELD_TIMESTAMP:
        return "integer";
    case FIELD_NUMBER:
        return "number";
    case FIELD_BOOLEAN:
        return "boolean";
    case FIELD_OBJECT:
        return "true";
    case FIELD_STRINGS:
        return "string[]";
    case FIELD_STRING:
    case FIELD_UUID:
    case FIELD_JSON:
    case FIELD_LIST:
        break;
    }
    return "string";
}

/* The next own word in alphabetical order, without duplicates. NULL: `last` was the last. */
static const char *check_types_next_choice(const struct extract_field *field, const char *last) {
    const char *next = NULL;
    for (size_t i = 0; i < field->choice_count; i++) {
        const char *word = field->choice_values[i];
        if (strcmp(word, last) > 0 && (!next || strcmp(word, next) < 0)) {
            next = word;
        }
    }
    return next;
}

static void check_types_add_choices(struct buffer *text, const struct extract_field *field) {
    const char *separator = "", *word = "";
    while ((word = check_types_next_choice(field, word))) {
        buffer_append_format(text, "%s\"%s\"", separator, word);
        separator = "|";
    }
}

static void check_types_add_item(struct buffer *text, const struct extract_field *list);

static void check_types_add_field_type(struct buffer *text, const struct extract_field *field) {
    if (field->type == FIELD_LIST) {
        check_types_add_item(text, field);
    } else if (field->choice_count > 0) {
        check_types_add_choices(text, field);
    } else {
        buffer_append_text(text, check_types_field_type(field->type));
    }
}

static const char *check_types_mark(const struct extract_field *field) {
    return field->optional || field->required_if ? "?" : "";
}

/* { essay_id: string, rank?: integer }[] */
static void check_types_add_item(struct buffer *text, const struct extract_field *list) {
    const char *separator = "{ ";
    for (size_t i = 0; i < list->element_count; i++) {
        const struct extract_field *field = &list->element[i];
        if (field->check_only) {
            continue;
        }
        buffer_append_format(text, "%s%s%s: ", separator, field->name, check_types_mark(field));
        check_types_add_field_type(text, field);
        separator = ", ";
    }
    buffer_append_text(text, *separator == '{' ? "table[]" : " }[]");
}

static void check_types_add_event(struct buffer *text, const struct script_handler *handler) {
    check_types_add_class(text, "\n---@class ", handler->name);
    buffer_append_text(text, ".Event: Event\n");
    for (size_t i = ENVELOPE_ROLES; i < handler->field_count; i++) {
        const struct extract_field *field = &handler->fields[i];
        if (!field->check_only) {
            buffer_append_format(text, "---@field %s%s ", field->name, check_types_mark(field));
            check_types_add_field_type(text, field);
            buffer_append_format(text, " %s\n", field->paths[0]);
        }
    }
}

static void check_types_add_handler(struct buffer *text, const struct script_handler *handler) {
    check_types_add_event(text, handler);
    check_types_add_class(text, "\n---@class ", handler->name);
    check_types_add_class(text, ": Handler\n---@field handle fun(event: ", handler->name);
    buffer_append_text(text, ".Event, view: View): \"ignored\"?\n");
}

/* ---- reactions ---------------------------------------------------------------------------- */

static void check_types_add_reaction(struct buffer *text, const struct script_reaction *reaction) {
    check_types_add_class(text, "\n---@class ", reaction->name);
    check_types_add_class(text, ": Reaction\n---@field publish fun(row: sql.", reaction->query);
    buffer_append_text(text, ".Row): Message|Message[]|nil\n");
}

/* ---- queries ------------------------------------------------------------------------------ */

static void check_types_add_column(void *context, struct slice name, const char *type) {
    buffer_append_format(context, "---@field %.*s %s\n", (int)name.len, name.data, type);
}

/* A row of a query, and the list of rows. Any column is possible if the text does not name the
 * columns. */
static void check_types_add_rows(struct buffer *text, const struct view *view,
                                 const struct bundle_file *file) {
    const char *name = bundle_query_name(file);
    check_types_add_class(text, "\n---@class sql.", name);
    buffer_append_text(text, ".Row\n");
    if (!query_columns(file->text, view, check_types_add_column, text)) {
        buffer_append_text(text, "---@field [string] any\n");
    }
    check_types_add_class(text, "\n---@class sql.", name);
    check_types_add_class(text, ".Rows: pg.Rows\n---@field [integer] sql.", name);
    buffer_append_text(text, ".Row\n");
}

/* The parameters of a query; Postgres decides their types. */
static bool check_types_add_query(struct buffer *text, const struct script_generation *generation,
                                  const struct bundle_file *file, struct err *err) {
    struct pg_named named;
    if (!pg_named_parse(&named, file->text, err)) {
        return err_wrap(err, "%s", file->path);
    }
    check_types_add_class(text, "\n---@class sql.", bundle_query_name(file));
    buffer_append_text(text, "\n");
    for (size_t i = 0; i < named.count; i++) {
        buffer_append_format(text, "---@field %s any\n", named.names[i]);
    }
    pg_named_free(&named);
    check_types_add_rows(text, generation->view, file);
    return true;
}

static void check_types_add_calls(struct buffer *text, const struct bundle *bundle,
                                  const char *owner) {
    buffer_append_format(text, "\n---@class %s\n", owner);
    for (size_t i = 0; i < bundle->count; i++) {
        if (bundle_query_name(&bundle->files[i])) {
            const char *name = bundle_query_name(&bundle->files[i]);
            buffer_append_format(text, "---@field query fun(name: \"%s\", params?: ", name);
            check_types_add_class(text, "sql.", name);
            check_types_add_class(text, "): sql.", name);
            buffer_append_text(text, ".Rows?, Failure\n");
        }
    }
}

static bool check_types_add_queries(struct buffer *text, const struct script_generation *generation,
                                    struct err *err) {
    const struct bundle *bundle = &generation->bundle;
    for (size_t i = 0; i < bundle->count; i++) {
        if (bundle_query_name(&bundle->files[i]) &&
            !check_types_add_query(text, generation, &bundle->files[i], err)) {
            return false;
        }
    }
    check_types_add_calls(text, bundle, "pg");
    check_types_add_calls(text, bundle, "pg.Transaction");
    return true;
}

bool script_types(const struct script_generation *generation, struct buffer *text,
                  struct err *err) {
    buffer_append_text(text, header);
    check_types_add_view(text, generation->view);
    for (size_t i = 0; i < generation->handler_count; i++) {
        check_types_add_handler(text, &generation->handlers[i]);
    }
    for (size_t i = 0; i < generation->reaction_count; i++) {
        check_types_add_reaction(text, &generation->reactions[i]);
    }
    return check_types_add_queries(text, generation, err);
}
