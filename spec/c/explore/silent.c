/* silent: in place of the metrics, the log and its redactor of the code under test, which are no
 * part of a state. The cells are never looked into. Nobody reads from replicas. */
#include "bindings/pg_reads.h"
#include "bindings/redis_refusal.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/request_steps.h"
#include "base/redact.h"

struct metric *metric_family(enum metric_type type, const char *name, const char *help,
                             const char *label_names) {
    (void)type, (void)name, (void)help, (void)label_names;
    return NULL;
}

struct metric_cell *metric_cell(struct metric *metric, ...) {
    (void)metric;
    return NULL;
}

struct metric_cell *metric_single(enum metric_type type, const char *name, const char *help) {
    (void)type, (void)name, (void)help;
    return NULL;
}

void request_steps_add(enum request_step step, int64_t since_us) {
    (void)step, (void)since_us;
}

void metric_add(struct metric_cell *cell, double amount) {
    (void)cell, (void)amount;
}

void metric_set(struct metric_cell *cell, double value) {
    (void)cell, (void)value;
}

double metric_value(const struct metric_cell *cell) {
    (void)cell;
    return 0;
}

bool log_enabled(enum log_level level) {
    (void)level;
    return false;
}

void log_write(enum log_level level, const char *message, const struct log_field *fields,
               size_t count) {
    (void)level, (void)message, (void)fields, (void)count;
}

void redact_text(char *text) {
    (void)text;
}

/* ---- refusals ------------------------------------------------------------------------------ */

bool redis_refusal_note(const char *error) {
    (void)error;
    return false;
}

/* ---- replicas ------------------------------------------------------------------------------ */

bool pg_reads_on(void) {
    return false;
}

void pg_reads_announce(struct pg_position committed) {
    (void)committed;
}

void pg_reads_forget(void) {
}

bool pg_position_parse(struct slice text, struct pg_position *position) {
    (void)text, (void)position;
    return false;
}

void pg_position_format(struct pg_position position, char text[PG_POSITION_DIGITS + 1]) {
    (void)position;
    text[0] = '\0';
}

bool pg_position_ask(struct pg *pg, int timeout_ms, struct pg_position *position, bool *in_recovery,
                     struct err *err) {
    (void)pg, (void)timeout_ms, (void)position, (void)in_recovery, (void)err;
    return false;
}
