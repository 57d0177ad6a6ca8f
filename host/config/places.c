#include "places.h"

#include <stdlib.h>
#include <string.h>

#include "bindings/pg_url.h"
#include "bindings/redis.h"

static bool places_is_port(const char *text, size_t len) {
    char digits[8] = "";
    if (len == 0 || len > 5 || strspn(text, "0123456789") < len) {
        return false;
    }
    memcpy(digits, text, len);
    long port = strtol(digits, NULL, 10);
    return port > 0 && port <= 65535;
}

/* host, host:port or [address]:port, optionally after librdkafka's PROTOCOL://. */
static bool places_is_broker(const char *text, size_t len) {
    const char *scheme = memmem(text, len, "://", 3);
    const char *host = scheme ? scheme + 3 : text, *end = text + len;
    const char *close = host < end && *host == '[' ? memchr(host, ']', (size_t)(end - host)) : NULL;
    const char *after = close ? close + 1 : host;
    size_t name_len = close ? (size_t)(close - host) - 1 : 0;
    while (!close && after < end && *after != ':') {
        name_len += !strchr("/@ \t[]", *after);
        after++;
    }
    bool whole = close ? name_len > 0 : name_len > 0 && name_len == (size_t)(after - host);
    return whole && (after == end ||
                     (*after == ':' && places_is_port(after + 1, (size_t)(end - after - 1))));
}

static bool places_check_brokers(const char *text, struct err *err) {
    for (const char *at = text;; at++) {
        at += strspn(at, " ");
        size_t len = strcspn(at, ",");
        size_t trimmed = len;
        while (trimmed > 0 && at[trimmed - 1] == ' ') {
            trimmed--;
        }
        if (!places_is_broker(at, trimmed)) {
            return err_set(err, ERR_INPUT,
                           "must be brokers as host:port, separated by commas, not \"%.80s\"",
                           text);
        }
        at += len;
        if (!*at) {
            return true;
        }
    }
}

static bool places_check_redis(const char *text, struct err *err) {
    struct redis_address address = {0};
    bool ok = !text[0] || redis_url_parse(text, &address, err);
    redis_address_free(&address);
    return ok;
}

bool config_check_place(enum config_kind kind, const char *text, struct err *err) {
    switch (kind) {
    case BROKERS:
        return places_check_brokers(text, err);
    case POSTGRES_URL:
        return pg_url_check(text, err);
    case REDIS_URL:
        return places_check_redis(text, err);
    default:
        return true;
    }
}
