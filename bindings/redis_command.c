#include "redis_command.h"

#include "base/number.h"

#define LENGTH_BYTES (1 + NUMBER_DIGITS_MOST + 2) /* a mark, the digits, CR and LF */

/* Not printf: a batch of events sends tens of thousands of lengths. */
static void redis_command_append_length(struct buffer *out, char mark, size_t length) {
    char text[LENGTH_BYTES], *at = text + sizeof text;
    *--at = '\n';
    *--at = '\r';
    at = number_put_before(at, length);
    *--at = mark;
    buffer_append(out, at, (size_t)(text + sizeof text - at));
}

void redis_command_append(struct buffer *out, const struct slice *args, size_t count) {
    redis_command_append_length(out, '*', count);
    for (size_t i = 0; i < count; i++) {
        redis_command_append_length(out, '$', args[i].len);
        buffer_append(out, args[i].data, args[i].len);
        buffer_append(out, "\r\n", 2);
    }
}

void redis_command_append_auth(struct buffer *out, const char *user, const char *password) {
    struct slice args[3] = {slice_of("AUTH")};
    size_t count = 1;
    if (user && *user) {
        args[count++] = slice_of(user);
    }
    args[count++] = slice_of(password);
    redis_command_append(out, args, count);
}
