#include "log_recent.h"

#include <pthread.h>

#include "hash.h"

struct recent_line {
    uint64_t message; /* its hash */
    size_t count;
    size_t len;
    char text[LOG_RECENT_LINE_BYTES];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the rest */
static struct recent_line lines[LOG_RECENT_MESSAGES];
static struct recent_line *order[LOG_RECENT_MESSAGES]; /* the newest first */
static size_t line_count;

/* Moves the line of the message, a new one, or else the oldest, to the front. */
static struct recent_line *log_recent_take(uint64_t message) {
    size_t at = 0;
    while (at < line_count && order[at]->message != message) {
        at++;
    }
    if (at == line_count && line_count < LOG_RECENT_MESSAGES) {
        order[line_count] = &lines[line_count];
        line_count++;
    }
    at = at < line_count ? at : line_count - 1;
    struct recent_line *line = order[at];
    memmove(&order[1], &order[0], at * sizeof *order);
    order[0] = line;
    if (line->message != message) {
        line->message = message;
        line->count = 0;
    }
    return line;
}

void log_recent_add(const char *message, struct slice text) {
    if (text.len > LOG_RECENT_LINE_BYTES || text.len < 2) {
        return;
    }
    pthread_mutex_lock(&lock);
    struct recent_line *line = log_recent_take(hash64(slice_of(message)));
    memcpy(line->text, text.data, text.len);
    line->len = text.len;
    line->count++;
    pthread_mutex_unlock(&lock);
}

void log_recent_append(struct buffer *json) {
    buffer_append_text(json, "[");
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < line_count; i++) {
        buffer_append_text(json, i > 0 ? "," : "");
        buffer_append(json, order[i]->text, order[i]->len - 1); /* without the "}" */
        buffer_append_format(json, ",\"count\":%zu}", order[i]->count);
    }
    pthread_mutex_unlock(&lock);
    buffer_append_text(json, "]");
}
