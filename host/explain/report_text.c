/* report_text: an explanation as text. */
#include <inttypes.h>

#include "base/plural.h"
#include "base/timestamp.h"
#include "base/uuid.h"
#include "view/view_sql.h"
#include "explain.h"

static void report_text_version(FILE *out, const struct merge_version *version) {
    char at[TIMESTAMP_TEXT_CAP], event_id[UUID_TEXT_LEN + 1];
    timestamp_format(version->at_us, at);
    uuid_format(version->event_id, event_id);
    fprintf(out, "%s  %s", at, event_id);
}

static void report_text_place(FILE *out, const struct explanation *explanation,
                              const struct explain_place *place) {
    const struct log_partition *partition = &explanation->reader.partitions[place->partition];
    char stored[TIMESTAMP_TEXT_CAP] = "unknown";
    if (place->stored_us > 0) {
        timestamp_format(place->stored_us, stored);
    }
    fprintf(out, "%s [%d] @ %" PRId64 ", stored %s", partition->topic, partition->number,
            place->offset, stored);
    if (place->scripts.data) {
        fprintf(out, ", scripts %.*s", (int)place->scripts.len, place->scripts.data);
    }
}

static void report_text_event(FILE *out, const struct explanation *explanation,
                              const struct explain_event *event) {
    fprintf(out, "    %-16s  ", explain_outcome_name(event->outcome));
    report_text_version(out, &event->version);
    fprintf(out, "\n%24s", "");
    report_text_place(out, explanation, &event->place);
    if (event->rests_on) {
        fprintf(out, "\n%24sdepends on a reply of %s: not derived again", "", event->rests_on);
    }
    fputc('\n', out);
}

/* Prints the group's events from index `first` on; returns the index after the last. */
static size_t report_text_group(FILE *out, const struct explanation *explanation, size_t row,
                                size_t g, size_t first, size_t limit) {
    const struct explain_row *of = &explanation->rows[row];
    const struct view_group *group = &of->table->groups[g];
    const struct explain_held *held = &of->groups[g];
    size_t end = first;
    bool found = false;
    while (end < explanation->event_count && explanation->events[end].row == row &&
           explanation->events[end].group == g) {
        found |= explanation->events[end++].outcome == EXPLAIN_WROTE;
    }
    if (end == first && !held->present) {
        return end;
    }
    fprintf(out, "  %s (%s)\n", group->name, view_rule_name(group->rule));
    if (held->present && !found) {
        fprintf(out, "    %-16s  ", explain_outcome_name(EXPLAIN_WROTE));
        report_text_version(out, &held->version);
        fprintf(
            out,
            "\n%24sits event is not in the records that were read: --since beginning reads all\n",
            "");
    }
    for (size_t i = first; i < end && i - first < limit; i++) {
        report_text_event(out, explanation, &explanation->events[i]);
    }
    if (end - first > limit) {
        fprintf(out, "    … and %zu more\n", end - first - limit);
    }
    return end;
}

static void report_text_rows(FILE *out, const struct explanation *explanation, size_t limit) {
    size_t at = 0;
    for (size_t r = 0; r < explanation->row_count; r++) {
        const struct explain_row *row = &explanation->rows[r];
        fputs(row->table->name, out);
        for (size_t i = 0; i < row->table->key_count; i++) {
            fprintf(out, " %s=%.*s", row->table->key[i].name, (int)row->key[i].len,
                    row->key[i].data);
        }
        fputs(row->in_view ? "\n" : "  (not in the view)\n", out);
        for (size_t g = 0; g < row->table->group_count; g++) {
            at = report_text_group(out, explanation, r, g, at, limit);
        }
        fputc('\n', out);
    }
}

static void report_text_rejected(FILE *out, const struct explanation *explanation) {
    for (size_t i = 0; i < explanation->rejected_count; i++) {
        const struct explain_rejected *event = &explanation->rejected[i];
        explain_print_part(out, i ? "" : "rejected events that contain the id\n",
                           (struct slice){"", 0});
        explain_print_part(out, "    ", event->reason);
        explain_print_part(out, ": ", event->detail);
        explain_print_part(out, "\n        event ", event->event_id);
        explain_print_part(out, "\n        ", event->topic);
        fprintf(out, " [%d] @ %" PRId64, event->partition, event->offset);
        explain_print_part(out, ", rejected ", event->rejected_at);
        explain_print_part(out, ", scripts ", event->scripts);
        fputc('\n', out);
    }
}

/* Prints why the record changed nothing, if that is known, and the indent of its place. */
static void report_text_why(FILE *out, const struct explain_other *other) {
    static const char indent[] = "        ";
    if (other->rests_on) {
        fprintf(out, "%sdepends on a reply of %s\n", indent, other->rests_on);
    } else if (other->reason.data) {
        explain_print_part(out, indent, other->reason);
        explain_print_part(out, ": ", other->detail);
        fputc('\n', out);
    }
    fputs(indent, out);
}

static void report_text_others(FILE *out, const struct explanation *explanation) {
    for (size_t i = 0; i < explanation->other_count; i++) {
        const struct explain_other *other = &explanation->others[i];
        char event_id[UUID_TEXT_LEN + 1] = "without id";
        if (other->has_id) {
            uuid_format(other->event_id, event_id);
        }
        explain_print_part(out, i ? "" : "other records that contain the id\n",
                           (struct slice){"", 0});
        fprintf(out, "    %-16s  event %s\n", explain_other_name(other), event_id);
        report_text_why(out, other);
        report_text_place(out, explanation, &other->place);
        fputc('\n', out);
    }
}

void explain_print(const struct explanation *explanation, size_t limit, FILE *out) {
    char since[TIMESTAMP_TEXT_CAP] = "the beginning";
    if (explanation->since_us >= 0) {
        timestamp_format(explanation->since_us, since);
    }
    report_text_rows(out, explanation, limit);
    report_text_rejected(out, explanation);
    report_text_others(out, explanation);
    explain_print_published(explanation, limit, out);
    if (explanation->row_count + explanation->rejected_count + explanation->other_count +
            explanation->published_count ==
        0) {
        fprintf(out, "neither the view nor the log contains %s\n", explanation->options.id);
    }
    fprintf(out, "%" PRId64 " record%s read, from %s on\n", explanation->records_read,
            plural_of(explanation->records_read), since);
}
