#include "metric_aliases.h"

#include <ctype.h>
#include <stdio.h>

/* Copies samples of `ours` under another name: only those with the label `only`, with `instead_of`
 * replaced by `label`, and with `added` as first label. NULL: no such rule. Entries with one name
 * stand together. */
struct other_name {
    const char *name; /* "_…": follows service.name */
    const char *ours;
    const char *only;
    const char *instead_of, *label;
    const char *added;
    bool names_service; /* adds the label service */
};

#define TRANSACTION "operation=\"commit_batch\""
/* The platform's own relays use this value, too. */
#define ANY_EVENT "event_type=\"unknown\""

static const struct other_name other_names[] = {
    {.name = "_database_query_duration_seconds",
     .ours = "ras_db_operation_duration_seconds",
     .added = "table=\"all\",result=\"success\""},
    {.name = "_database_query_duration_seconds",
     .ours = "ras_db_failed_operation_duration_seconds",
     .added = "table=\"all\",result=\"error\""},
    {.name = "_database_transaction_duration_seconds",
     .ours = "ras_db_operation_duration_seconds",
     .only = TRANSACTION,
     .added = "result=\"success\""},
    {.name = "_database_transaction_duration_seconds",
     .ours = "ras_db_failed_operation_duration_seconds",
     .only = TRANSACTION,
     .added = "result=\"error\""},
    {.name = "_database_transactions_total",
     .ours = "ras_db_operations_total",
     .only = TRANSACTION,
     .instead_of = "status=",
     .label = "result="},
    {.name = "_database_errors_total",
     .ours = "ras_db_operations_total",
     .only = "status=\"error\"",
     .instead_of = "status=",
     .label = "error_type="},
    {.name = "_database_connections_active", .ours = "ras_db_connections_active"},
    {.name = "_database_connections_idle", .ours = "ras_db_connections_idle"},
    {.name = "_database_connections_total", .ours = "ras_db_connections"},
    {.name = "outbox_queue_depth", .ours = "ras_outbox_depth", .names_service = true},
    {.name = "outbox_events_added_total",
     .ours = "ras_outbox_messages_total",
     .only = "outcome=\"pending\"",
     .instead_of = "outcome=\"pending\"",
     .label = ANY_EVENT,
     .names_service = true},
    {.name = "outbox_events_published_total",
     .ours = "ras_outbox_sent_total",
     .added = ANY_EVENT,
     .names_service = true},
    {.name = "outbox_events_failed_total",
     .ours = "ras_outbox_failed_total",
     .added = ANY_EVENT,
     .names_service = true},
    {.name = "outbox_relay_errors_total",
     .ours = "ras_outbox_delayed_total",
     .added = "error_type=\"not_taken\"",
     .names_service = true},
    {.name = "outbox_event_age_seconds",
     .ours = "ras_outbox_publish_seconds",
     .names_service = true},
};
#define OTHER_NAMES (sizeof other_names / sizeof *other_names)

/* ---- names and labels ----------------------------------------------------------------------- */

static void metric_aliases_append_name(struct buffer *out, const struct other_name *other,
                                       const char *service) {
    for (const char *at = other->name[0] == '_' ? service : ""; *at; at++) {
        bool is_first_digit = at == service && isdigit((unsigned char)*at);
        bool may_stand = isalnum((unsigned char)*at) && !is_first_digit;
        buffer_append(out, may_stand ? at : "_", 1);
    }
    buffer_append_text(out, other->name);
}

/* The first occurrence of a part; NULL: none. The part may be NULL. */
static const char *metric_aliases_place_in(struct slice text, const char *part) {
    return part && text.data ? memmem(text.data, text.len, part, strlen(part)) : NULL;
}

static void metric_aliases_append_changed(struct buffer *out, const struct other_name *other,
                                          struct slice labels) {
    const char *at = metric_aliases_place_in(labels, other->instead_of);
    if (at) {
        const char *rest = at + strlen(other->instead_of);
        buffer_append(out, labels.data, (size_t)(at - labels.data));
        buffer_append_text(out, other->label);
        buffer_append(out, rest, (size_t)(labels.data + labels.len - rest));
    } else {
        buffer_append(out, labels.data, labels.len);
    }
}

static void metric_aliases_append_labels(struct buffer *out, const struct other_name *other,
                                         const char *service, struct slice labels) {
    const char *comma = "{";
    if (other->names_service) {
        buffer_append_text(out, "{service=");
        buffer_append_json_string(out, slice_of(service));
        comma = ",";
    }
    if (other->added) {
        buffer_append_format(out, "%s%s", comma, other->added);
        comma = ",";
    }
    if (labels.len > 0) {
        buffer_append_text(out, comma);
        metric_aliases_append_changed(out, other, labels);
        comma = ",";
    }
    buffer_append_text(out, *comma == ',' ? "}" : "");
}

/* ---- the page ------------------------------------------------------------------------------- */

/* Cuts off the next line; data is NULL after the last. */
static struct slice metric_aliases_next_line(struct slice *rest) {
    const char *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
    struct slice line = {end ? rest->data : NULL, end ? (size_t)(end - rest->data) : 0};
    if (end) {
        rest->data += line.len + 1;
        rest->len -= line.len + 1;
    }
    return line;
}

/* One line of a page: name{labels} value, or name value. */
struct sample {
    struct slice suffix; /* of the name, after the family's name */
    struct slice labels;
    struct slice value; /* with the blank before it */
};

static struct sample metric_aliases_sample_of(struct slice line, const char *family) {
    struct sample sample = {0};
    const char *value = memrchr(line.data, ' ', line.len);
    const char *open = memchr(line.data, '{', line.len);
    const char *suffix = line.data + strlen(family);
    if (open) {
        sample.labels = (struct slice){open + 1, (size_t)(value - open) - 2};
    }
    sample.suffix = (struct slice){suffix, (size_t)((open ? open : value) - suffix)};
    sample.value = (struct slice){value, (size_t)(line.data + line.len - value)};
    return sample;
}

/* The page after "# TYPE OURS "; data is NULL if it has no such family. */
static struct slice metric_aliases_family_in(struct slice page, const char *ours) {
    char head[128];
    int len = snprintf(head, sizeof head, "# TYPE %s ", ours);
    const char *at = memmem(page.data, page.len, head, (size_t)len);
    const char *from = at ? at + len : NULL;
    return (struct slice){from, from ? (size_t)(page.data + page.len - from) : 0};
}

static void metric_aliases_append_head(struct buffer *out, const struct other_name *other,
                                       const char *service, struct slice type) {
    buffer_append_text(out, "# HELP ");
    metric_aliases_append_name(out, other, service);
    buffer_append_format(out, " As %s.\n# TYPE ", other->ours);
    metric_aliases_append_name(out, other, service);
    buffer_append_format(out, " %.*s\n", (int)type.len, type.data);
}

/* *begun: the name whose HELP and TYPE are written. */
static void metric_aliases_append_family(struct buffer *out, const struct other_name *other,
                                         const char *service, const char **begun,
                                         struct slice page) {
    struct slice rest = metric_aliases_family_in(page, other->ours);
    struct slice type = metric_aliases_next_line(&rest);
    for (struct slice line = metric_aliases_next_line(&rest); line.data && line.data[0] != '#';
         line = metric_aliases_next_line(&rest)) {
        struct sample sample = metric_aliases_sample_of(line, other->ours);
        if (other->only && !metric_aliases_place_in(sample.labels, other->only)) {
            continue;
        }
        if (strcmp(*begun, other->name) != 0) {
            metric_aliases_append_head(out, other, service, type);
            *begun = other->name;
        }
        metric_aliases_append_name(out, other, service);
        buffer_append(out, sample.suffix.data, sample.suffix.len);
        metric_aliases_append_labels(out, other, service, sample.labels);
        buffer_append_format(out, "%.*s\n", (int)sample.value.len, sample.value.data);
    }
}

void metric_aliases_append(struct buffer *page, const char *service) {
    struct buffer others = {0};
    const char *begun = "";
    for (size_t i = 0; i < OTHER_NAMES; i++) {
        metric_aliases_append_family(&others, &other_names[i], service, &begun, buffer_slice(page));
    }
    buffer_append(page, others.data ? others.data : "", others.len);
    buffer_free(&others);
}
