#include "write_rights.h"

#include "view/view.h"

static void write_rights_append(struct buffer *sql, const char *table, const char *right) {
    buffer_append_format(sql, "%s('%s', '%s')", sql->len > 0 ? ", " : "", table, right);
}

static void write_rights_append_table(struct buffer *sql, const struct view_table *table) {
    write_rights_append(sql, table->name, "INSERT");
    write_rights_append(sql, table->name, "UPDATE");
    if (table->root >= 0) {
        write_rights_append(sql, table->name, "DELETE");
    }
}

bool write_rights_check(struct sql_session *session, const struct script_generation *generation,
                        struct err *err) {
    const struct view *view = script_generation_view(generation);
    struct buffer wanted = {0}, sql = {0};
    struct pg_result *row;
    for (size_t i = 0; i < view->table_count; i++) {
        write_rights_append_table(&wanted, &view->tables[i]);
    }
    buffer_append_format(&sql,
                         "SELECT string_agg(format('%%s on %%s', \"right\", name), ', ') "
                         "FROM (VALUES %.*s) AS wanted (name, \"right\") "
                         "WHERE NOT has_table_privilege(quote_ident(name), \"right\")",
                         (int)wanted.len, wanted.data);
    bool asked = view->table_count == 0 || sql_query_built(session, &sql, &row, err);
    bool good = asked;
    if (asked && view->table_count > 0) {
        const char *lacks = pg_rows_text(row, 0, 0);
        good =
            !*lacks ||
            err_set(err, ERR_INPUT,
                    "the role lacks %s: the docs, operate/rights.md, have the statements", lacks);
        pg_rows_free(row);
    }
    buffer_free(&wanted);
    return good;
}
