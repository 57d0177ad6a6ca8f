#include "traceparent.h"

#include "hex.h"

#define VERSION "00"
#define VERSION_LEN 2
#define TRACE_ID_AT 3
#define TRACE_ID_LEN 32
#define PARENT_ID_AT 36
#define PARENT_ID_LEN 16
#define FLAGS_AT 53
#define FLAGS_LEN 2
#define FLAG_SAMPLED 1

static bool traceparent_is_hex(const char *at, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (hex_digit(at[i]) < 0 || (at[i] >= 'A' && at[i] <= 'F')) {
            return false;
        }
    }
    return true;
}

static bool traceparent_is_id(const char *at, size_t len) {
    size_t zeros = 0;
    while (zeros < len && at[zeros] == '0') {
        zeros++;
    }
    return zeros < len && traceparent_is_hex(at, len);
}

static bool traceparent_has_end(struct slice header) {
    return header.len == TRACEPARENT_LEN ||
           (header.data[TRACEPARENT_LEN] == '-' && memcmp(header.data, VERSION, VERSION_LEN) != 0);
}

struct slice traceparent_read(struct slice header) {
    const char *text = header.data;
    bool good =
        text && header.len >= TRACEPARENT_LEN && traceparent_is_hex(text, VERSION_LEN) &&
        memcmp(text, "ff", VERSION_LEN) != 0 && text[TRACE_ID_AT - 1] == '-' &&
        traceparent_is_id(text + TRACE_ID_AT, TRACE_ID_LEN) && text[PARENT_ID_AT - 1] == '-' &&
        traceparent_is_id(text + PARENT_ID_AT, PARENT_ID_LEN) && text[FLAGS_AT - 1] == '-' &&
        traceparent_is_hex(text + FLAGS_AT, FLAGS_LEN) && traceparent_has_end(header);
    return good ? (struct slice){text, TRACEPARENT_LEN} : (struct slice){0};
}

struct slice traceparent_trace_id(struct slice traceparent) {
    return traceparent.data ? (struct slice){traceparent.data + TRACE_ID_AT, TRACE_ID_LEN}
                            : traceparent;
}

bool traceparent_is_sampled(struct slice traceparent) {
    return traceparent.data && (hex_byte(traceparent.data + FLAGS_AT) & FLAG_SAMPLED) != 0;
}

void traceparent_format(struct slice traceparent, char text[TRACEPARENT_LEN + 1]) {
    text[0] = '\0';
    if (traceparent.data) {
        memcpy(text, traceparent.data, TRACEPARENT_LEN);
        memcpy(text, VERSION, VERSION_LEN);
        text[TRACEPARENT_LEN] = '\0';
    }
}
