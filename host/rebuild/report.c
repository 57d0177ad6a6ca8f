/* report: prints the findings of a rebuild. */
#include <inttypes.h>

#include "base/plural.h"
#include "base/timestamp.h"
#include "rebuild.h"

/* ---- what cannot be rebuilt ---------------------------------------------------------------- */

static void report_print_lost(const struct rebuild *rebuild) {
    for (size_t i = 0; i < rebuild->reader.count; i++) {
        const struct log_partition *partition = &rebuild->reader.partitions[i];
        char time[TIMESTAMP_TEXT_CAP] = "";
        int64_t us = partition->gap ? INT64_MAX : partition->missing_before_us;
        if (us == 0) {
            continue;
        }
        if (us < INT64_MAX) {
            timestamp_format(us, time);
        }
        fprintf(rebuild->options.out,
                "%s [%d] is incomplete: it begins at offset %" PRId64 "%s%s\n", partition->topic,
                partition->number, partition->low,
                time[0] ? "; the missing records are older than "
                        : "; nothing dates the missing records",
                time);
    }
}

/* Prints rows of the table that are kept although the log does not give them: because records are
 * missing, or (`outside`) because handlers asked other systems. */
static bool report_print_kept(struct rebuild *rebuild, const struct view_table *table, bool outside,
                              struct err *err) {
    FILE *out = rebuild->options.out;
    struct compare_scope scope = rebuild->scope;
    struct buffer sql = {0};
    struct pg_result *rows;
    scope.outside = outside;
    compare_sql(&scope, table, outside ? COMPARE_OUTSIDE : COMPARE_KEPT, &sql);
    pg_params_add_int8(rebuild->session.params, rebuild->options.shown_rows);
    if (!sql_query_built(&rebuild->session, &sql, &rows, err)) {
        return false;
    }
    int count = pg_rows_count(rows);
    int64_t total = count > 0 ? pg_rows_int(rows, 0, 0) : 0;
    if (count > 0) {
        fprintf(out, "%s: %" PRId64 " row%s %s and %s kept\n", table->name, total, plural_of(total),
                !outside     ? "cannot be rebuilt from the log"
                : total == 1 ? "depends on events that cannot be repeated"
                             : "depend on events that cannot be repeated",
                total == 1 ? "is" : "are");
    }
    for (int i = 0; i < count; i++) {
        fprintf(out, "  kept       %s%s%s%s\n", pg_rows_text(rows, i, 1), outside ? "  (" : "",
                outside ? pg_rows_text(rows, i, 2) : "", outside ? ")" : "");
    }
    if (total > count) {
        fprintf(out, "  … and %" PRId64 " more\n", total - count);
    }
    rebuild->outside += outside ? total : 0;
    pg_rows_free(rows);
    return true;
}

bool report_lost(struct rebuild *rebuild, struct err *err) {
    bool ok = true;
    if (rebuild->scope.lost_before_us == 0) {
        return true;
    }
    report_print_lost(rebuild);
    for (size_t i = 0; ok && i < rebuild->view->table_count; i++) {
        ok = report_print_kept(rebuild, &rebuild->view->tables[i], false, err);
    }
    return ok;
}

void report_expired(const struct rebuild *rebuild) {
    const struct horizon *horizon = &rebuild->fill.pipeline.horizon;
    for (size_t i = 0; i < horizon->count; i++) {
        char time[TIMESTAMP_TEXT_CAP];
        timestamp_format(horizon->roots[i].expired_before_us, time);
        fprintf(rebuild->options.out,
                "%s: events before %s are expired: what they wrote is kept, not compared\n",
                horizon->roots[i].table, time);
    }
}

/* ---- handlers that asked other systems ----------------------------------------------------- */

static bool report_print_questions(struct rebuild *rebuild, struct err *err) {
    static const char sql[] = "SELECT count(*), handler, rests_on FROM " REBUILD_SCHEMA
                              ".outside_events GROUP BY 2, 3 ORDER BY 2, 3";
    struct pg_result *rows;
    if (!sql_query(&rebuild->session, slice_of(sql), &rows, err)) {
        return false;
    }
    for (int i = 0; i < pg_rows_count(rows); i++) {
        int64_t count = pg_rows_int(rows, i, 0);
        fprintf(rebuild->options.out,
                "%s event%s of %s depend%s on %s: what %s wrote is kept, not derived again\n",
                pg_rows_text(rows, i, 0), plural_of(count), pg_rows_text(rows, i, 1),
                count == 1 ? "s" : "", pg_rows_text(rows, i, 2), count == 1 ? "it" : "they");
    }
    pg_rows_free(rows);
    return true;
}

bool report_outside(struct rebuild *rebuild, struct err *err) {
    rebuild->outside = 0;
    bool ok = !rebuild->scope.outside || report_print_questions(rebuild, err);
    for (size_t i = 0; ok && rebuild->scope.outside && i < rebuild->view->table_count; i++) {
        ok = report_print_kept(rebuild, &rebuild->view->tables[i], true, err);
    }
    return ok;
}

bool report_rejected(struct rebuild *rebuild, struct err *err) {
    static const char sql[] = "SELECT count(*) FROM " REBUILD_SCHEMA ".rejected_events";
    int64_t count = 0;
    bool ok = sql_query_int(&rebuild->session, sql, &count, err);
    if (count > 0) {
        fprintf(rebuild->options.out, "%" PRId64 " event%s of the log %s rejected\n", count,
                plural_of(count), count == 1 ? "was" : "were");
    }
    return ok;
}

/* ---- differences --------------------------------------------------------------------------- */

static bool report_count_differences(struct rebuild *rebuild, const struct view_table *table,
                                     bool quiet, int64_t *different, struct err *err) {
    struct buffer sql = {0};
    struct pg_result *rows;
    compare_sql(&rebuild->scope, table, COMPARE_COUNTS, &sql);
    *different = 0;
    if (!sql_query_built(&rebuild->session, &sql, &rows, err)) {
        return false;
    }
    if (!quiet) {
        fprintf(rebuild->options.out, "%s:", table->name);
    }
    for (int i = 0; i < pg_rows_count(rows); i++) {
        *different += pg_rows_int(rows, i, 1);
        if (!quiet) {
            fprintf(rebuild->options.out, "%s %s %s", i ? "," : "", pg_rows_text(rows, i, 1),
                    pg_rows_text(rows, i, 0));
        }
    }
    if (!quiet) {
        fprintf(rebuild->options.out, "%s\n", *different ? "" : " equal");
    }
    pg_rows_free(rows);
    return true;
}

static void report_print_value(FILE *out, struct slice value) {
    fprintf(out, "%.*s", value.data ? (int)value.len : 1, value.data ? value.data : "-");
}

enum { KIND, KEY, COLUMN, LIVE, WANTED };

static void report_print_column(FILE *out, const struct pg_result *rows, int row) {
    struct slice live = pg_rows_cell(rows, row, LIVE), wanted = pg_rows_cell(rows, row, WANTED);
    bool both = strcmp(pg_rows_text(rows, row, KIND), "differing") == 0;
    bool same = live.data && wanted.data && slice_equal(live, wanted);
    fprintf(out, "      %s: ", pg_rows_text(rows, row, COLUMN));
    if (both && !same) {
        report_print_value(out, live);
        fputs("  from the log: ", out);
        report_print_value(out, wanted);
    } else {
        report_print_value(out, live.data ? live : wanted);
    }
    fputc('\n', out);
}

static bool report_print_differences(struct rebuild *rebuild, const struct view_table *table,
                                     int64_t different, struct err *err) {
    FILE *out = rebuild->options.out;
    struct buffer sql = {0};
    struct pg_result *rows;
    compare_sql(&rebuild->scope, table, COMPARE_REPORT, &sql);
    pg_params_add_int8(rebuild->session.params, rebuild->options.shown_rows);
    bool ok = sql_query_built(&rebuild->session, &sql, &rows, err);
    for (int i = 0; ok && i < pg_rows_count(rows); i++) {
        if (i == 0 || strcmp(pg_rows_text(rows, i, KEY), pg_rows_text(rows, i - 1, KEY)) != 0) {
            fprintf(out, "  %-10s %s\n", pg_rows_text(rows, i, KIND), pg_rows_text(rows, i, KEY));
        }
        if (!pg_rows_is_null(rows, i, COLUMN)) {
            report_print_column(out, rows, i);
        }
    }
    if (ok && different > rebuild->options.shown_rows) {
        fprintf(out, "  … and %" PRId64 " more\n", different - rebuild->options.shown_rows);
    }
    if (ok) {
        pg_rows_free(rows);
    }
    return ok;
}

bool report_differences(struct rebuild *rebuild, const struct view_table *table, bool quiet,
                        struct err *err) {
    int64_t different;
    if (!report_count_differences(rebuild, table, quiet, &different, err)) {
        return false;
    }
    rebuild->different += different;
    return quiet || different == 0 || report_print_differences(rebuild, table, different, err);
}
