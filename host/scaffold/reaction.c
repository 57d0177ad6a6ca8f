/* A reaction, its spec, and its query. */
#include <stdio.h>

#include "base/uuid.h"
#include "new_reaction.lua.h"
#include "new_reaction.sql.h"
#include "new_reaction_spec.lua.h"
#include "scaffold.h"

static const char *scaffold_reaction_text_key(const struct view_table *table) {
    for (size_t i = 0; i < table->key_count; i++) {
        if (table->key[i].type == VIEW_TEXT) {
            return table->key[i].name;
        }
    }
    return NULL;
}

/* A group with a version, which has the time of the fact. */
static const char *scaffold_reaction_versioned_group(const struct view_table *table) {
    for (size_t i = 0; i < table->group_count; i++) {
        if (table->groups[i].rule == VIEW_FIRST || table->groups[i].rule == VIEW_LATEST) {
            return table->groups[i].name;
        }
    }
    return NULL;
}

bool scaffold_can_follow(const struct view_table *table) {
    return scaffold_reaction_text_key(table) && scaffold_reaction_versioned_group(table);
}

void scaffold_reaction(struct scaffold *scaffold, const struct config *config, const char *name,
                       const char *topic, const struct view_table *table) {
    char path[4096], at[256], text[UUID_TEXT_LEN + 1];
    uint8_t space[16];
    uuid_generate_v4(space);
    uuid_format(space, text);
    snprintf(at, sizeof at, "%s_at", scaffold_reaction_versioned_group(table));
    const struct scaffold_word words[] = {{"name", name},
                                          {"topic", topic},
                                          {"table", table->name},
                                          {"column", scaffold_reaction_text_key(table)},
                                          {"at", at},
                                          {"namespace", text},
                                          {NULL, NULL}};
    snprintf(path, sizeof path, "%s/reactions/%s.lua", config->scripts.root, name);
    scaffold_add(scaffold, path, new_reaction_lua, words);
    snprintf(path, sizeof path, "spec/unit/reactions/%s_spec.lua", name);
    scaffold_add(scaffold, path, new_reaction_spec_lua, words);
    snprintf(path, sizeof path, "%s/queries/%s.sql", config->scripts.sql, name);
    scaffold_add(scaffold, path, new_reaction_sql, words);
}
