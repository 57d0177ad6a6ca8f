/* retention: shows what has left the view and what leaves next. */
#include <inttypes.h>
#include <stdio.h>

#include "base/json_put.h"
#include "base/terminal.h"
#include "base/timestamp.h"
#include "command.h"
#include "report.h"
#include "retention/plan.h"
#include "schema/citus.h"
#include "schema/program_schema.h"
#include "script/script.h"
#include "view/view_check.h"

#define COUNT_TIMEOUT_MS (10 * 60 * 1000)

static void retention_put_time(const char *label, int64_t us, bool known, const char *otherwise) {
    char text[TIMESTAMP_TEXT_CAP];
    if (known) {
        timestamp_format(us, text);
    }
    printf("  %-16s %s\n", label, known ? text : otherwise);
}

static void retention_print_indexes(const struct view_table *table, const struct plan *plan) {
    for (size_t i = 0; i <= table->retention->with_count; i++) {
        struct buffer statement = {0};
        if (plan->lacks_index[i]) {
            indexes_append_statement(&statement, table, i);
            printf("  %-16s %s\n", "lacks an index:", statement.data);
        }
        buffer_free(&statement);
    }
}

static void retention_print(const struct view_table *table, const struct plan *plan) {
    const struct view_retention *retention = table->retention;
    const struct sweep_state *state = &plan->state;
    printf("%s: rows leave %d days after %s\n", table->name, retention->days,
           table->groups[retention->by].name);
    retention_put_time("horizon", state->horizon_us, state->moved, "none yet");
    retention_put_time("expired before", state->expired_before_us, state->moved, "none yet");
    retention_put_time("swept at", state->swept_us, state->swept_us != 0,
                       state->moved ? "not yet: rows before the horizon are being removed" : "-");
    printf("  %-16s %" PRId64 " of %s\n", "removed", state->removed, table->name);
    retention_put_time("today's horizon", plan->next_us, true, NULL);
    for (size_t i = 0; i <= retention->with_count; i++) {
        printf("  %-16s %" PRId64 " of %s\n", i == 0 ? "before it" : "", plan->rows[i],
               i == 0 ? table->name : retention->with[i - 1].table);
    }
    retention_print_indexes(table, plan);
}

static void retention_put_indexes(struct buffer *json, const struct view_table *table,
                                  const struct plan *plan) {
    json_open(json, "missing_indexes", "[");
    for (size_t i = 0; i <= table->retention->with_count; i++) {
        struct buffer statement = {0};
        if (plan->lacks_index[i]) {
            indexes_append_statement(&statement, table, i);
            json_put_text(json, NULL, buffer_slice(&statement));
        }
        buffer_free(&statement);
    }
    buffer_append_text(json, "]");
}

static void retention_put_json(struct buffer *json, const struct view_table *table,
                               const struct plan *plan) {
    const struct view_retention *retention = table->retention;
    json_open(json, NULL, "{");
    json_put_text(json, "table", slice_of(table->name));
    json_put_int(json, "days", retention->days);
    json_put_int(json, "span_days", retention->span_days);
    json_put_text(json, "by", slice_of(table->groups[retention->by].name));
    json_put_time(json, "horizon", plan->state.horizon_us);
    json_put_time(json, "expired_before", plan->state.expired_before_us);
    json_put_time(json, "swept_at", plan->state.swept_us);
    json_put_int(json, "removed", plan->state.removed);
    json_put_time(json, "todays_horizon", plan->next_us);
    json_open(json, "before_it", "{");
    for (size_t i = 0; i <= retention->with_count; i++) {
        json_put_int(json, i == 0 ? table->name : retention->with[i - 1].table, plan->rows[i]);
    }
    buffer_append_text(json, "}");
    retention_put_indexes(json, table, plan);
    buffer_append_text(json, "}");
}

static bool retention_show(const struct command *command, const struct view *view,
                           struct err *err) {
    struct sql_session session;
    struct buffer json = {0};
    bool ok = sql_session_open(&session, command->config, "aggregator retention", COUNT_TIMEOUT_MS,
                               err) &&
              citus_allows(session.pg, CITUS_LACKS_RETENTION, err) &&
              view_sql_check(session.pg, view, COUNT_TIMEOUT_MS, err);
    buffer_append_text(&json, "[");
    for (size_t i = 0; ok && i < view->table_count; i++) {
        struct plan plan;
        if (!view->tables[i].retention) {
            continue;
        }
        ok = plan_read(&session, &view->tables[i], &plan, err);
        if (ok && command->json) {
            retention_put_json(&json, &view->tables[i], &plan);
        } else if (ok) {
            retention_print(&view->tables[i], &plan);
        }
    }
    buffer_append_text(&json, "]");
    if (ok && command->json) {
        terminal_print(stdout, buffer_slice(&json));
        putchar('\n');
    }
    buffer_free(&json);
    sql_session_close(&session);
    if (!ok) {
        program_schema_advise(err);
    }
    return ok;
}

int command_retention(const struct command *command) {
    struct err err = {0};
    struct script_generation *generation = script_generation_load(command->config, 1, &err);
    const struct view *view = generation ? script_generation_view(generation) : NULL;
    bool ok = view != NULL;
    if (ok && !view->forgets && !command->json) {
        puts("no table of scripts/view.lua has a retention: every row stays");
    } else {
        ok = ok && retention_show(command, view, &err);
    }
    script_generation_unref(generation);
    if (!ok) {
        command_report(command, "retention", &err);
    }
    return ok ? 0 : 1;
}
