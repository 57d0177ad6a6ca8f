/* redis_url: parses redis://[[user]:password@]host[:port][/database], and rediss:// for TLS. */
#include <stdlib.h>

#include "base/hex.h"
#include "base/xalloc.h"
#include "redis.h"

static char *redis_url_percent_decode(const char *text, size_t len) {
    char *out = xstrndup(text, len);
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        int byte = text[i] == '%' && i + 2 < len ? hex_byte(text + i + 1) : -1;
        out[used++] = byte >= 0 ? (char)byte : text[i];
        i += byte >= 0 ? 2 : 0;
    }
    out[used] = '\0';
    return out;
}

static bool redis_url_parse_number(const char *text, size_t len, int max, int *out) {
    int value = 0;
    if (len == 0 || len > 5) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        value = value * 10 + (text[i] - '0');
    }
    *out = value;
    return value <= max;
}

/* Parses the host in the `len` bytes before the slash; *rest is the text after it. */
static bool redis_url_parse_host(struct redis_address *address, const char *at, size_t len,
                                 const char **rest) {
    size_t host_len = 0;
    if (len > 0 && *at == '[') { /* an IPv6 address */
        const char *close = memchr(at, ']', len);
        if (!close) {
            return false;
        }
        at++;
        host_len = (size_t)(close - at);
        *rest = close + 1;
    } else {
        while (host_len < len && !strchr(":?#@ ", at[host_len])) {
            host_len++;
        }
        *rest = at + host_len;
    }
    address->host = xstrndup(at, host_len);
    return host_len > 0;
}

static bool redis_url_parse_place(struct redis_address *address, const char *at) {
    size_t len = strcspn(at, "/");
    const char *end = at + len, *rest;
    if (!redis_url_parse_host(address, at, len, &rest)) {
        return false;
    }
    if (rest < end && (*rest != ':' || !redis_url_parse_number(rest + 1, (size_t)(end - rest - 1),
                                                               65535, &address->port))) {
        return false;
    }
    return end[0] == '\0' || end[1] == '\0' ||
           redis_url_parse_number(end + 1, strlen(end + 1), 99999, &address->db);
}

bool redis_url_parse(const char *url, struct redis_address *address, struct err *err) {
    *address = (struct redis_address){.port = 6379, .tls = strncmp(url, "rediss://", 9) == 0};
    bool ok = address->tls || strncmp(url, "redis://", 8) == 0;
    const char *at = url + (ok ? strcspn(url, ":") + 3 : 0);
    const char *end = strrchr(at, '@'); /* the last one: a password may contain others */
    if (ok && end) {
        const char *colon = memchr(at, ':', (size_t)(end - at));
        ok = colon != NULL;
        if (ok) {
            address->user = redis_url_percent_decode(at, (size_t)(colon - at));
            address->password = redis_url_percent_decode(colon + 1, (size_t)(end - colon - 1));
        }
        at = end + 1;
    }
    if (ok && redis_url_parse_place(address, at)) {
        return true;
    }
    redis_address_free(address);
    return err_set(err, ERR_INPUT,
                   "the Redis URL must be redis://[[user]:password@]host[:port][/database], or "
                   "rediss:// for TLS");
}

bool redis_url_same_place(const char *a, const char *b) {
    struct redis_address one = {0}, other = {0};
    struct err ignored = {0};
    bool same = redis_url_parse(a, &one, &ignored) && redis_url_parse(b, &other, &ignored) &&
                one.host && other.host && strcmp(one.host, other.host) == 0 &&
                one.port == other.port && one.db == other.db && one.tls == other.tls;
    redis_address_free(&one);
    redis_address_free(&other);
    return same;
}

void redis_address_free(struct redis_address *address) {
    free(address->host);
    free(address->user);
    free(address->password);
    *address = (struct redis_address){0};
}
