/* Reads a reaction's declaration: the tables it follows, its query, its function. */
#include <stdlib.h>

#include "bindings/pg_named.h"
#include "manifest.h"

#define MAX_FOLLOWS 16

struct reaction_reading {
    struct script_reaction reaction;
    struct script_follow *follows;
};

/* ---- follows ------------------------------------------------------------------------------ */

static const char *manifest_reaction_copy_name(struct manifest_reader *r, int at,
                                               const char *what) {
    size_t len = 0;
    const char *text = lua_type(r->L, at) == LUA_TSTRING ? lua_tolstring(r->L, at, &len) : NULL;
    if (!text || len == 0 || strlen(text) != len) {
        manifest_problem(r, "follows",
                         "`follows` names a column for each table, "
                         "{ orders = \"order_id\" }: this %s is a %s",
                         what, text ? "string without a name" : luaL_typename(r->L, at));
        return NULL;
    }
    return manifest_text(r->generation, text);
}

static int manifest_reaction_compare_follows(const void *one, const void *other) {
    return strcmp(((const struct script_follow *)one)->table,
                  ((const struct script_follow *)other)->table);
}

/* Sorted, because Lua's order is arbitrary. */
static void manifest_reaction_read_follows(struct manifest_reader *r, void *target) {
    struct reaction_reading *reading = target;
    size_t count = 0;
    reading->follows = manifest_alloc(r->generation, MAX_FOLLOWS * sizeof *reading->follows);
    for (lua_pushnil(r->L); lua_next(r->L, -2); lua_pop(r->L, 1)) {
        const char *table = manifest_reaction_copy_name(r, -2, "table");
        const char *column = table ? manifest_reaction_copy_name(r, -1, "column") : NULL;
        if (column && count < MAX_FOLLOWS) {
            reading->follows[count++] = (struct script_follow){.table = table, .column = column};
        } else if (column) {
            manifest_problem(r, "follows", "`follows` has more than %d tables", MAX_FOLLOWS);
        }
    }
    if (count == 0) {
        manifest_problem(r, "follows", "`follows` is empty: name at least one table");
    }
    qsort(reading->follows, count, sizeof *reading->follows, manifest_reaction_compare_follows);
    reading->reaction.follows = reading->follows;
    reading->reaction.follow_count = count;
}

static const struct manifest_key reaction_keys[] = {
    {"follows", MANIFEST_TABLE, true, 0,
     "the column whose value is the key, for each table: "
     "{ orders = \"order_id\" }",
     manifest_reaction_read_follows},
    {"query", MANIFEST_TEXT, true, offsetof(struct reaction_reading, reaction.query),
     "the name of a file in sql/queries", NULL},
    {"publish", MANIFEST_FUNCTION, true, 0, "function(row)", NULL},
};

void manifest_read_reaction(struct manifest_reader *r, const char *name) {
    struct script_generation *generation = r->generation;
    struct manifest_scope scope = {0};
    struct reaction_reading reading = {0};
    if (!manifest_load(r, name)) {
        return;
    }
    reading.reaction.name = manifest_text(generation, name);
    manifest_enter(r, &scope, NULL, "reaction");
    manifest_read_table(r, reaction_keys, COUNT(reaction_keys), false, &reading);
    manifest_leave(r);
    generation->reactions[generation->reaction_count++] = reading.reaction;
}

/* ---- checks against the view and the queries ------------------------------------------------- */

static const struct view_table *manifest_reaction_find_table(struct manifest_reader *r,
                                                             const char *name, size_t *index) {
    const struct view *view = r->generation->view;
    const char **names = manifest_alloc(r->generation, view->table_count * sizeof *names);
    for (size_t i = 0; i < view->table_count; i++) {
        names[i] = view->tables[i].name;
        if (strcmp(names[i], name) == 0) {
            *index = i;
            return &view->tables[i];
        }
    }
    manifest_refuse(r, "table of the view", name, names, view->table_count);
    return NULL;
}

/* Keys are texts from a commit's own values, so only columns whose values are surrogate keys
 * qualify.
 */
static bool manifest_reaction_note_column(struct script_follow *follow,
                                          const struct view_column *columns, size_t count,
                                          int group, const char **names, size_t *known) {
    for (size_t i = 0; i < count; i++) {
        if (!view_is_tag(columns[i].type)) {
            continue;
        }
        names[(*known)++] = columns[i].name;
        if (strcmp(columns[i].name, follow->column) == 0) {
            follow->group = group;
            follow->at = i;
            follow->type = columns[i].type;
            return true;
        }
    }
    return false;
}

static void manifest_reaction_check_follow(struct manifest_reader *r,
                                           struct script_follow *follow) {
    const struct view_table *table =
        manifest_reaction_find_table(r, follow->table, &follow->table_index);
    if (!table) {
        return;
    }
    const char **names = manifest_alloc(
        r->generation, (VIEW_MAX_KEY + VIEW_MAX_GROUPS * VIEW_MAX_COLUMNS) * sizeof *names);
    size_t known = 0;
    bool found = manifest_reaction_note_column(follow, table->key, table->key_count,
                                               SCRIPT_FOLLOWS_KEY, names, &known);
    for (size_t i = 0; i < table->group_count && !found; i++) {
        const struct view_group *group = &table->groups[i];
        found = manifest_reaction_note_column(follow, group->columns, group->column_count, (int)i,
                                              names, &known);
    }
    if (!found) {
        char what[160];
        snprintf(what, sizeof what, "column of text, uuid, integer or bigint of %.100s",
                 follow->table);
        manifest_refuse(r, what, follow->column, names, known);
    }
}

/* One query serves all keys of a round. */
static void manifest_reaction_check_query_params(struct manifest_reader *r,
                                                 const struct script_reaction *reaction,
                                                 const struct bundle_file *file) {
    struct pg_named query;
    struct err err = {0};
    if (!pg_named_parse(&query, file->text, &err)) {
        return; /* manifest_check_literals reports it */
    }
    if (query.count != 1 || strcmp(query.names[0], "keys") != 0) {
        manifest_problem(r, "query",
                         "the query %s of a reaction takes exactly one parameter, :keys (text[])",
                         reaction->query);
    }
    pg_named_free(&query);
}

static void manifest_reaction_check_query(struct manifest_reader *r,
                                          const struct script_reaction *reaction) {
    const struct bundle *bundle = &r->generation->bundle;
    const char **names = manifest_alloc(r->generation, (bundle->count + 1) * sizeof *names);
    size_t count = 0;
    for (size_t i = 0; i < bundle->count; i++) {
        names[count] = bundle_query_name(&bundle->files[i]);
        if (names[count] && strcmp(names[count++], reaction->query) == 0) {
            manifest_reaction_check_query_params(r, reaction, &bundle->files[i]);
            return;
        }
    }
    manifest_refuse(r, "query in sql/queries", reaction->query, names, count);
}

void manifest_check_reactions(struct manifest_reader *r) {
    for (size_t i = 0; i < r->generation->reaction_count; i++) {
        struct script_reaction *reaction = &r->generation->reactions[i];
        struct manifest_scope scope = {0};
        r->file = bundle_find(&r->generation->bundle, reaction->name);
        manifest_enter(r, &scope, NULL, "reaction");
        /* A view with problems may lack tables. */
        for (size_t f = 0; f < reaction->follow_count && r->view_good; f++) {
            manifest_reaction_check_follow(r, (struct script_follow *)&reaction->follows[f]);
        }
        if (reaction->query) {
            manifest_reaction_check_query(r, reaction);
        }
        manifest_leave(r);
    }
}
