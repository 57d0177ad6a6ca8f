#include "declarations.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json_put.h"
#include "base/xalloc.h"
#include "view/view_sql.h"

/* ---- twins --------------------------------------------------------------------------------- */

static bool declarations_same_key(const struct view_table *a, const struct view_table *b) {
    bool same = a->key_count == b->key_count;
    for (size_t i = 0; same && i < a->key_count; i++) {
        same = strcmp(a->key[i].name, b->key[i].name) == 0;
    }
    return same;
}

static const struct view_table *declarations_find_table(const struct view *view,
                                                        const struct view_table *like) {
    for (size_t i = 0; i < view->table_count; i++) {
        if (strcmp(view->tables[i].name, like->name) == 0 &&
            declarations_same_key(&view->tables[i], like)) {
            return &view->tables[i];
        }
    }
    return NULL;
}

static const struct view_group *declarations_find_group(const struct view_table *table,
                                                        const struct view_group *like) {
    for (size_t i = 0; i < table->group_count; i++) {
        const struct view_group *group = &table->groups[i];
        if (strcmp(group->name, like->name) == 0 &&
            view_sql_is_versioned(group) == view_sql_is_versioned(like) &&
            (group->rule == VIEW_COUNT) == (like->rule == VIEW_COUNT)) {
            return group;
        }
    }
    return NULL;
}

static bool declarations_has_column(const struct view_group *group, const char *name) {
    for (size_t i = 0; group && i < group->column_count; i++) {
        if (strcmp(group->columns[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- shared ------------------------------------------------------------------------ */

static void declarations_add_group(struct view_table *table, const struct view_group *group,
                                   const struct view_group *twin) {
    struct view_group *shared = &table->groups[table->group_count];
    *shared = *group;
    shared->columns = xcalloc(group->column_count + 1, sizeof *shared->columns);
    shared->column_count = 0;
    for (size_t i = 0; i < group->column_count; i++) {
        if (declarations_has_column(twin, group->columns[i].name)) {
            shared->columns[shared->column_count++] = group->columns[i];
        }
    }
    if (shared->column_count > 0) {
        table->group_count++;
    } else {
        free(shared->columns);
    }
}

static void declarations_add_table(struct view *view, const struct view_table *table,
                                   const struct view_table *twin) {
    struct view_table *shared = &view->tables[view->table_count++];
    *shared = *table;
    shared->content_group = -1;
    shared->group_count = 0;
    for (size_t i = 0; i < table->group_count; i++) {
        declarations_add_group(shared, &table->groups[i],
                               declarations_find_group(twin, &table->groups[i]));
    }
}

/* ---- one side only --------------------------------------------------------------------- */

static void declarations_add_only(struct buffer *only, const char *what, const char *name,
                                  const char *column) {
    char text[512];
    snprintf(text, sizeof text, "%s %s%s%s", what, name, column ? "." : "", column ? column : "");
    json_put_text(only, NULL, slice_of(text));
}

static void declarations_add_columns(struct buffer *only, const struct view_table *table,
                                     const struct view_table *twin) {
    for (size_t g = 0; g < table->group_count; g++) {
        const struct view_group *group = &table->groups[g];
        const struct view_group *other = declarations_find_group(twin, group);
        for (size_t i = 0; i < group->column_count; i++) {
            if (!declarations_has_column(other, group->columns[i].name)) {
                declarations_add_only(only, "column", table->name, group->columns[i].name);
            }
        }
    }
}

void declarations_add_topics(struct buffer *only, const struct script_generation *of,
                             const struct script_generation *other) {
    size_t count;
    const struct script_handler *handlers = script_generation_handlers(of, &count);
    for (size_t i = 0; i < count; i++) {
        for (size_t t = 0; t < handlers[i].topic_count; t++) {
            if (script_handler_of(other, handlers[i].topics[t]) < 0) {
                declarations_add_only(only, "topic", handlers[i].topics[t], NULL);
            }
        }
    }
}

void declarations_add_reactions(struct buffer *only, const struct script_generation *of,
                                const struct script_generation *other) {
    size_t count;
    const struct script_reaction *reactions = script_generation_reactions(of, &count);
    for (size_t i = 0; i < count; i++) {
        if (script_reaction_of(other, reactions[i].name) < 0) {
            declarations_add_only(only, "reaction", reactions[i].name, NULL);
        }
    }
}

static void declarations_add_all_only(struct buffer *only, const struct script_generation *of,
                                      const struct script_generation *other) {
    const struct view *view = script_generation_view(of);
    declarations_add_topics(only, of, other);
    declarations_add_reactions(only, of, other);
    for (size_t i = 0; i < view->table_count; i++) {
        const struct view_table *table = &view->tables[i];
        const struct view_table *twin =
            declarations_find_table(script_generation_view(other), table);
        if (twin) {
            declarations_add_columns(only, table, twin);
        } else {
            declarations_add_only(only, "table", table->name, NULL);
        }
    }
}

void declarations_compare(struct declarations *shared, const struct script_generation *old,
                          const struct script_generation *new) {
    const struct view *view = script_generation_view(new);
    *shared = (struct declarations){0};
    declarations_add_all_only(&shared->only[SHADOW_RUN_OLD], old, new);
    declarations_add_all_only(&shared->only[SHADOW_RUN_NEW], new, old);
    shared->view.tables = xcalloc(view->table_count + 1, sizeof *shared->view.tables);
    for (size_t i = 0; i < view->table_count; i++) {
        const struct view_table *twin =
            declarations_find_table(script_generation_view(old), &view->tables[i]);
        if (twin) {
            declarations_add_table(&shared->view, &view->tables[i], twin);
        }
    }
}

void declarations_free(struct declarations *shared) {
    for (size_t i = 0; i < shared->view.table_count; i++) {
        for (size_t g = 0; g < shared->view.tables[i].group_count; g++) {
            free(shared->view.tables[i].groups[g].columns);
        }
    }
    free(shared->view.tables);
    buffer_free(&shared->only[SHADOW_RUN_OLD]);
    buffer_free(&shared->only[SHADOW_RUN_NEW]);
}
