#include "stored_verbs.h"

#include <stdlib.h>

#include "base/json_put.h"
#include "base/log.h"
#include "schema/program_schema.h"
#include "stored/choice.h"
#include "stored/messages.h"
#include "stored/rejected.h"
#include "verbs.h"

#define TIMEOUT_MS 10000

/* The query of a request. */
struct stored_query {
    struct choice choice;
    struct slice ids[STORED_IDS_MAX];
    struct slice state, contains, before;
    int64_t before_us, limit; /* before_us -1: not given */
    bool all;
};

/* ---- reading the query --------------------------------------------------------------------- */

static const char *stored_verbs_read_ids(struct slice list, struct stored_query *query) {
    size_t count = 0;
    while (list.len > 0 && count < STORED_IDS_MAX) {
        const char *comma = memchr(list.data, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.data) : list.len;
        if (len == 0) {
            return "ids has an empty id: send one or more, with commas between them";
        }
        query->ids[count++] = (struct slice){list.data, len};
        len += comma != NULL;
        list = (struct slice){list.data + len, list.len - len};
    }
    query->choice.ids = query->ids;
    query->choice.id_count = count;
    return list.len > 0 ? "too many ids: send at most 200 at a time"
           : count == 0 ? "ids is empty: send one or more, with commas between them"
                        : NULL;
}

static bool stored_verbs_is_of_messages(const char *second) {
    return strcmp(second, "key") == 0;
}

static const char *stored_verbs_read_pair(const struct script_pair *pair, const char *second,
                                          struct stored_query *query) {
    bool of_messages = stored_verbs_is_of_messages(second);
    const struct {
        const char *name;
        struct slice *text;
        int64_t *number;
    } fields[] = {
        {"topic", &query->choice.topic, NULL},
        {second, &query->choice.second, NULL},
        {of_messages ? "state" : "", &query->state, NULL},
        {"contains", &query->contains, NULL},
        {"before", &query->before, NULL},
        {of_messages ? "" : "before_us", NULL, &query->before_us},
        {"limit", NULL, &query->limit},
    };
    if (slice_equal(pair->name, slice_of("ids"))) {
        return stored_verbs_read_ids(pair->value, query);
    }
    if (slice_equal(pair->name, slice_of("all"))) {
        query->all = slice_equal(pair->value, slice_of("true"));
        return query->all ? NULL : "all is true, or is not sent";
    }
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (!slice_equal(pair->name, slice_of(fields[i].name))) {
            continue;
        }
        if (fields[i].text) {
            *fields[i].text = pair->value;
            return NULL;
        }
        return admin_read_number(pair->value, 0, INT64_MAX, fields[i].number)
                   ? NULL
                   : "limit and before_us are whole numbers";
    }
    return of_messages ? "unknown parameter: send topic, key, ids, all, state, contains, limit or "
                         "before"
                       : "unknown parameter: send topic, reason, ids, all, contains, limit, before "
                         "or before_us";
}

static bool stored_verbs_is_state(struct slice word) {
    size_t i = 0;
    while (messages_states[i] && !slice_equal(word, slice_of(messages_states[i]))) {
        i++;
    }
    return messages_states[i] != NULL;
}

/* NULL, or what is wrong with the state of messages and with the row that a list follows. */
static const char *stored_verbs_check_list(const struct stored_query *query, bool of_messages) {
    int64_t id;
    if (!of_messages) {
        return (query->before_us >= 0) == (query->before.data != NULL)
                   ? NULL
                   : "before and before_us are sent together: the id and at_us of the row that the "
                     "list follows";
    }
    if (query->state.data && !stored_verbs_is_state(query->state)) {
        return "state is " MESSAGES_STATES_TEXT;
    }
    return query->before.data && !admin_read_number(query->before, 0, INT64_MAX, &id)
               ? "before is the id of a message, a whole number"
               : NULL;
}

/* NULL, or what is wrong. `second`: "reason" or "key". */
static const char *stored_verbs_read_query(const struct admin_request *request, const char *second,
                                           struct stored_query *query) {
    const char *problem = NULL;
    *query = (struct stored_query){.before_us = -1, .limit = STORED_LIMIT};
    for (size_t i = 0; !problem && i < request->query_count; i++) {
        problem = stored_verbs_read_pair(&request->query[i], second, query);
    }
    if (!problem && (query->limit < 1 || query->limit > STORED_LIMIT_MAX)) {
        return "limit is a number from 1 to 1000";
    }
    return problem ? problem : stored_verbs_check_list(query, stored_verbs_is_of_messages(second));
}

/* ---- one request --------------------------------------------------------------------------- */

struct stored_call {
    struct sql_session session;
    struct stored_query query;
    struct buffer *json;
};

static int stored_verbs_fail(struct buffer *json, struct err *err) {
    program_schema_advise(err);
    buffer_clear(json);
    return admin_fail(json, err->kind == ERR_INPUT ? 400 : 503, slice_of(err->text));
}

/* Reads the query, and runs the body in a session with the database. */
static int stored_verbs_run(void *context, const struct admin_request *request, const char *second,
                            bool (*body)(struct stored_call *call, struct err *err),
                            struct buffer *json) {
    const struct admin_context *program = context;
    struct stored_call call = {.json = json};
    struct err err = {0};
    const char *problem = stored_verbs_read_query(request, second, &call.query);
    if (problem) {
        return admin_fail(json, 400, slice_of(problem));
    }
    bool ok =
        sql_session_borrow(&call.session, program->config, "aggregator admin", TIMEOUT_MS, &err) &&
        body(&call, &err);
    sql_session_give_back(&call.session);
    return ok ? 200 : stored_verbs_fail(json, &err);
}

static struct pg_params *stored_verbs_begin(struct stored_call *call) {
    choice_fill(&call->query.choice, call->session.params);
    return call->session.params;
}

static bool stored_verbs_append(struct stored_call *call, const char *name, const char *sql,
                                struct err *err) {
    json_put_name(call->json, name);
    return choice_append_json(&call->session, sql, call->json, err);
}

static void stored_verbs_add_number(struct pg_params *params, bool given, int64_t number) {
    if (given) {
        pg_params_add_int8(params, number);
    } else {
        pg_params_add_null(params);
    }
}

/* ---- lists --------------------------------------------------------------------------------- */

static bool stored_verbs_append_rejected(struct stored_call *call, struct err *err) {
    const struct stored_query *query = &call->query;
    struct pg_params *params = stored_verbs_begin(call);
    bool follows = query->before_us >= 0 && query->before.data;
    pg_params_add_int8(params, query->limit);
    stored_verbs_add_number(params, follows, query->before_us);
    choice_add_text(params, query->before);
    choice_add_text(params, query->contains);
    buffer_append_text(call->json, "{");
    if (!stored_verbs_append(call, "events", rejected_list_sql, err)) {
        return false;
    }
    stored_verbs_begin(call);
    bool ok = stored_verbs_append(call, "groups", rejected_groups_sql, err);
    buffer_append_text(call->json, "}");
    return ok;
}

static bool stored_verbs_append_messages(struct stored_call *call, struct err *err) {
    const struct stored_query *query = &call->query;
    struct pg_params *params = stored_verbs_begin(call);
    choice_add_text(params, query->state);
    pg_params_add_int8(params, query->limit);
    choice_add_text(params, query->before);
    choice_add_text(params, query->contains);
    buffer_append_text(call->json, "{");
    if (!stored_verbs_append(call, "messages", messages_list_sql, err)) {
        return false;
    }
    stored_verbs_begin(call);
    pg_params_add_text(params, slice_of("pending or failed")); /* `sent` may be millions */
    bool ok = stored_verbs_append(call, "groups", messages_count_sql, err);
    buffer_append_text(call->json, "}");
    return ok;
}

int stored_verbs_list_rejected(void *context, const struct admin_request *request,
                               struct buffer *json) {
    return stored_verbs_run(context, request, "reason", stored_verbs_append_rejected, json);
}

int stored_verbs_list_messages(void *context, const struct admin_request *request,
                               struct buffer *json) {
    return stored_verbs_run(context, request, "key", stored_verbs_append_messages, json);
}

/* ---- one of them --------------------------------------------------------------------------- */

static bool stored_verbs_append_one(struct stored_call *call, const char *missing_sql,
                                    const char *read_sql, struct err *err) {
    struct pg_result *missing;
    if (call->query.choice.id_count != 1) {
        return err_set(err, ERR_INPUT, "send ids with one id");
    }
    stored_verbs_begin(call);
    if (!sql_query(&call->session, slice_of(missing_sql), &missing, err)) {
        return false;
    }
    bool found = pg_rows_count(missing) == 0 ||
                 err_set(err, ERR_INPUT,
                         "there is none with that id: it was dropped, or is older "
                         "than what is kept");
    pg_rows_free(missing);
    if (!found) {
        return false;
    }
    stored_verbs_begin(call);
    buffer_append_text(call->json, "{");
    bool ok = stored_verbs_append(call, "found", read_sql, err);
    buffer_append_text(call->json, "}");
    return ok;
}

static bool stored_verbs_append_event(struct stored_call *call, struct err *err) {
    return stored_verbs_append_one(call, rejected_missing_sql, rejected_read_sql, err);
}

static bool stored_verbs_append_message(struct stored_call *call, struct err *err) {
    return stored_verbs_append_one(call, messages_missing_sql, messages_read_sql, err);
}

int stored_verbs_read_rejected(void *context, const struct admin_request *request,
                               struct buffer *json) {
    return stored_verbs_run(context, request, "reason", stored_verbs_append_event, json);
}

int stored_verbs_read_message(void *context, const struct admin_request *request,
                              struct buffer *json) {
    return stored_verbs_run(context, request, "key", stored_verbs_append_message, json);
}

/* ---- changes ------------------------------------------------------------------------------- */

static bool stored_verbs_is_empty(struct slice text) {
    return text.data && text.len == 0;
}

static bool stored_verbs_check_choice(const struct stored_query *query, struct err *err) {
    const struct choice *choice = &query->choice;
    int ways = query->all + (choice->id_count > 0) + (choice->topic.data || choice->second.data);
    if (stored_verbs_is_empty(choice->topic) || stored_verbs_is_empty(choice->second)) {
        return err_set(err, ERR_INPUT, "topic, reason and key must not be empty");
    }
    return (ways == 1 && !query->contains.data && !query->state.data) ||
           err_set(err, ERR_INPUT,
                   "say which in one way: send ids; or a topic, a reason (events) or a key "
                   "(messages); or all=true. contains and state are for lists");
}

static bool stored_verbs_change(struct stored_call *call, const char *sql, const char *done,
                                struct err *err) {
    struct pg_result *result;
    if (!stored_verbs_check_choice(&call->query, err)) {
        return false;
    }
    stored_verbs_begin(call);
    if (!sql_query(&call->session, slice_of(sql), &result, err)) {
        return false;
    }
    int64_t count = pg_rows_written(result);
    pg_rows_free(result);
    log_info(done, LOG_INT("count", count), LOG_SLICE("topic", call->query.choice.topic),
             LOG_INT("ids", (int64_t)call->query.choice.id_count));
    buffer_append_text(call->json, "{");
    json_put_int(call->json, "changed", count);
    buffer_append_text(call->json, "}");
    return true;
}

static bool stored_verbs_drop_events(struct stored_call *call, struct err *err) {
    return stored_verbs_change(call, rejected_drop_sql, "operator dropped rejected events", err);
}

static bool stored_verbs_make_pending(struct stored_call *call, struct err *err) {
    return stored_verbs_change(call, messages_retry_sql, "operator retried messages", err);
}

static bool stored_verbs_settle(struct stored_call *call, struct err *err) {
    return stored_verbs_change(call, messages_drop_sql, "operator dropped messages", err);
}

int stored_verbs_drop_rejected(void *context, const struct admin_request *request,
                               struct buffer *json) {
    return stored_verbs_run(context, request, "reason", stored_verbs_drop_events, json);
}

int stored_verbs_retry_messages(void *context, const struct admin_request *request,
                                struct buffer *json) {
    struct admin_context *program = context;
    int status = stored_verbs_run(context, request, "key", stored_verbs_make_pending, json);
    outbox_wake(program->relay);
    return status;
}

int stored_verbs_drop_messages(void *context, const struct admin_request *request,
                               struct buffer *json) {
    return stored_verbs_run(context, request, "key", stored_verbs_settle, json);
}

/* ---- retry of rejected events ---------------------------------------------------------------- */

/* What the command would refuse with a status that says no more than "failed". */
static bool stored_verbs_find_rejected(struct stored_call *call, struct err *err) {
    struct pg_result *rows;
    bool by_ids = call->query.choice.id_count > 0;
    if (!stored_verbs_check_choice(&call->query, err)) {
        return false;
    }
    stored_verbs_begin(call);
    if (!sql_query(&call->session, slice_of(by_ids ? rejected_missing_sql : rejected_count_sql),
                   &rows, err)) {
        return false;
    }
    bool found = by_ids == (pg_rows_count(rows) == 0);
    pg_rows_free(rows);
    return found || err_set(err, ERR_INPUT,
                            "no such rejected event: it was retried, dropped, or is older than "
                            "what is kept");
}

int stored_verbs_retry_rejected(void *context, const struct admin_request *request,
                                struct buffer *json) {
    struct admin_context *program = context;
    struct stored_query query;
    struct buffer output = {0};
    struct slice options[6];
    size_t count = 0;
    int found = stored_verbs_run(context, request, "reason", stored_verbs_find_rejected, json);
    if (found != 200) {
        return found;
    }
    stored_verbs_read_query(request, "reason", &query);
    options[count++] = slice_of("--yes");
    if (query.all) {
        options[count++] = slice_of("--all");
    }
    if (query.choice.topic.data) {
        options[count++] = slice_of("--topic");
        options[count++] = query.choice.topic;
    }
    if (query.choice.second.data) {
        options[count++] = slice_of("--reason");
        options[count++] = query.choice.second;
    }
    int status = admin_child_run(&program->retry, options, count, query.choice.ids,
                                 query.choice.id_count, &output, json);
    if (status == 200) {
        buffer_append_text(json, "{");
        json_put_text(json, "output", buffer_slice(&output));
        buffer_append_text(json, "}");
    }
    buffer_free(&output);
    return status;
}
