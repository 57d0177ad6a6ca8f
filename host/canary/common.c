#include "common.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json_put.h"
#include "view/view_sql.h"
#include "base/xalloc.h"

/* ---- twins --------------------------------------------------------------------------------- */

static bool common_same_key(const struct view_table *a, const struct view_table *b) {
    bool same = a->key_count == b->key_count;
    for (size_t i = 0; same && i < a->key_count; i++) {
        same = strcmp(a->key[i].name, b->key[i].name) == 0;
    }
    return same;
}

static const struct view_table *common_find_table(const struct view *view,
                                                  const struct view_table *like) {
    for (size_t i = 0; i < view->table_count; i++) {
        if (strcmp(view->tables[i].name, like->name) == 0 &&
            common_same_key(&view->tables[i], like)) {
            return &view->tables[i];
        }
    }
    return NULL;
}

static const struct view_group *common_find_group(const struct view_table *table,
                                                  const struct view_group *like) {
    for (size_t i = 0; i < table->group_count; i++) {
        const struct view_group *group = &table->groups[i];
        if (strcmp(group->name, like->name) == 0 &&
            view_sql_is_versioned(group) == view_sql_is_versioned(like)) {
            return group;
        }
    }
    return NULL;
}

static bool common_has_column(const struct view_group *group, const char *name) {
    for (size_t i = 0; group && i < group->column_count; i++) {
        if (strcmp(group->columns[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- what both have ------------------------------------------------------------------------ */

static void common_add_group(struct view_table *table, const struct view_group *group,
                             const struct view_group *twin) {
    struct view_group *common = &table->groups[table->group_count];
    *common = *group;
    common->columns = xcalloc(group->column_count + 1, sizeof *common->columns);
    common->column_count = 0;
    for (size_t i = 0; i < group->column_count; i++) {
        if (common_has_column(twin, group->columns[i].name)) {
            common->columns[common->column_count++] = group->columns[i];
        }
    }
    if (common->column_count > 0) {
        table->group_count++;
    } else {
        free(common->columns);
    }
}

static void common_add_table(struct view *view, const struct view_table *table,
                             const struct view_table *twin) {
    struct view_table *common = &view->tables[view->table_count++];
    *common = *table;
    common->content_group = -1;
    common->group_count = 0;
    for (size_t i = 0; i < table->group_count; i++) {
        common_add_group(common, &table->groups[i], common_find_group(twin, &table->groups[i]));
    }
}

/* ---- what only one has --------------------------------------------------------------------- */

/* `column` NULL: none. */
static void common_add_only(struct buffer *only, const char *what, const char *name,
                            const char *column) {
    char text[512];
    snprintf(text, sizeof text, "%s %s%s%s", what, name, column ? "." : "", column ? column : "");
    json_put_text(only, NULL, slice_of(text));
}

static void common_note_columns(struct buffer *only, const struct view_table *table,
                                const struct view_table *twin) {
    for (size_t g = 0; g < table->group_count; g++) {
        const struct view_group *group = &table->groups[g];
        const struct view_group *other = common_find_group(twin, group);
        for (size_t i = 0; i < group->column_count; i++) {
            if (!common_has_column(other, group->columns[i].name)) {
                common_add_only(only, "column", table->name, group->columns[i].name);
            }
        }
    }
}

static void common_note_topics(struct buffer *only, const struct script_generation *of,
                               const struct script_generation *other) {
    size_t count;
    const struct script_handler *handlers = script_generation_handlers(of, &count);
    for (size_t i = 0; i < count; i++) {
        for (size_t t = 0; t < handlers[i].topic_count; t++) {
            if (script_handler_of(other, handlers[i].topics[t]) < 0) {
                common_add_only(only, "topic", handlers[i].topics[t], NULL);
            }
        }
    }
}

static void common_note_reactions(struct buffer *only, const struct script_generation *of,
                                  const struct script_generation *other) {
    size_t count;
    const struct script_reaction *reactions = script_generation_reactions(of, &count);
    for (size_t i = 0; i < count; i++) {
        if (script_reaction_of(other, reactions[i].name) < 0) {
            common_add_only(only, "reaction", reactions[i].name, NULL);
        }
    }
}

static void common_note_only(struct buffer *only, const struct script_generation *of,
                             const struct script_generation *other) {
    const struct view *view = script_generation_view(of);
    common_note_topics(only, of, other);
    common_note_reactions(only, of, other);
    for (size_t i = 0; i < view->table_count; i++) {
        const struct view_table *table = &view->tables[i];
        const struct view_table *twin = common_find_table(script_generation_view(other), table);
        if (twin) {
            common_note_columns(only, table, twin);
        } else {
            common_add_only(only, "table", table->name, NULL);
        }
    }
}

void common_init(struct common *common, const struct script_generation *old,
                 const struct script_generation *new) {
    const struct view *view = script_generation_view(new);
    *common = (struct common){0};
    common_note_only(&common->only[CANARY_OLD], old, new);
    common_note_only(&common->only[CANARY_NEW], new, old);
    common->view.tables = xcalloc(view->table_count + 1, sizeof *common->view.tables);
    for (size_t i = 0; i < view->table_count; i++) {
        const struct view_table *twin =
            common_find_table(script_generation_view(old), &view->tables[i]);
        if (twin) {
            common_add_table(&common->view, &view->tables[i], twin);
        }
    }
}

void common_free(struct common *common) {
    for (size_t i = 0; i < common->view.table_count; i++) {
        for (size_t g = 0; g < common->view.tables[i].group_count; g++) {
            free(common->view.tables[i].groups[g].columns);
        }
    }
    free(common->view.tables);
    buffer_free(&common->only[CANARY_OLD]);
    buffer_free(&common->only[CANARY_NEW]);
}
