/* mark: what a rebuild has changed is marked for the reactions that follow it, as by any commit, in
 * the rebuild's own transaction. */
#include "rebuild.h"

bool mark_changes(struct rebuild *rebuild, const struct view_table *table, struct err *err) {
    size_t count;
    const struct script_reaction *reactions =
        script_generation_reactions(rebuild->generation, &count);
    bool ok = true;
    for (size_t i = 0; i < count; i++) {
        for (size_t f = 0; f < reactions[i].follow_count && ok; f++) {
            const struct script_follow *follow = &reactions[i].follows[f];
            if (&rebuild->view->tables[follow->table_index] != table) {
                continue;
            }
            pg_params_add_text(rebuild->session.params, slice_of(reactions[i].name));
            ok = sql_run(&rebuild->session, err,
                         "INSERT INTO aggregator_state.reaction_marks (reaction, key) "
                         "SELECT DISTINCT $1::text, d.\"%s\" FROM %s.\"differences_%s\" d "
                         "WHERE d.\"%s\" IS NOT NULL",
                         follow->column, rebuild->shadow.schema, table->name, follow->column);
        }
    }
    return ok;
}
