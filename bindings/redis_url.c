/* redis_url: parses the URLs of Redis that redis.h describes. */
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

/* Parses the host at the begin of `len` bytes; *rest is the text after it. */
static bool redis_url_parse_host(struct redis_place *place, const char *at, size_t len,
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
        while (host_len < len && !strchr(":?#@, ", at[host_len])) {
            host_len++;
        }
        *rest = at + host_len;
    }
    place->host = xstrndup(at, host_len);
    return host_len > 0;
}

/* host or host:port, in `len` bytes; the place has the default port. */
static bool redis_url_parse_place(struct redis_place *place, const char *at, size_t len) {
    const char *rest, *end = at + len;
    return redis_url_parse_host(place, at, len, &rest) &&
           (rest == end ||
            (*rest == ':' &&
             redis_url_parse_number(rest + 1, (size_t)(end - rest - 1), 65535, &place->port)));
}

/* What follows a slash, if anything does. */
static bool redis_url_parse_db(struct redis_address *address, const char *at) {
    return at[0] == '\0' || at[1] == '\0' ||
           redis_url_parse_number(at + 1, strlen(at + 1), 99999, &address->db);
}

static bool redis_url_parse_server(struct redis_address *address, const char *at) {
    struct redis_place place = {.port = 6379};
    size_t len = strcspn(at, "/");
    bool ok = redis_url_parse_place(&place, at, len) && redis_url_parse_db(address, at + len);
    address->host = place.host;
    address->port = place.port;
    return ok;
}

static bool redis_url_parse_primary(struct redis_address *address, const char *at) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    size_t len = strspn(at, allowed);
    address->primary = xstrndup(at, len);
    return len > 0 && (at[len] == '\0' || at[len] == '/') && redis_url_parse_db(address, at + len);
}

/* Sentinels, separated by commas, then the name of the primary. */
static bool redis_url_parse_sentinels(struct redis_address *address, const char *at) {
    const char *slash = strchr(at, '/');
    while (slash && at < slash) {
        size_t len = strcspn(at, ",/"), count = address->sentinel_count++;
        address->sentinels = xrealloc(address->sentinels, (count + 1) * sizeof *address->sentinels);
        address->sentinels[count] = (struct redis_place){.port = 26379};
        if (!redis_url_parse_place(&address->sentinels[count], at, len)) {
            return false;
        }
        at += len + (at[len] == ',');
    }
    return slash && address->sentinel_count > 0 && slash[-1] != ',' &&
           redis_url_parse_primary(address, slash + 1);
}

static const struct {
    const char *scheme;
    bool tls, sentinels;
} redis_url_schemes[] = {
    {"redis://", false, false},
    {"rediss://", true, false},
    {"redis-sentinel://", false, true},
    {"rediss-sentinel://", true, true},
};

/* The text after the scheme; NULL: another scheme. */
static const char *redis_url_parse_scheme(const char *url, struct redis_address *address,
                                          bool *sentinels) {
    for (size_t i = 0; i < sizeof redis_url_schemes / sizeof *redis_url_schemes; i++) {
        size_t len = strlen(redis_url_schemes[i].scheme);
        if (strncmp(url, redis_url_schemes[i].scheme, len) == 0) {
            address->tls = redis_url_schemes[i].tls;
            *sentinels = redis_url_schemes[i].sentinels;
            return url + len;
        }
    }
    return NULL;
}

/* Returns what follows user and password; NULL: no colon is between them. */
static const char *redis_url_parse_login(struct redis_address *address, const char *at) {
    const char *end = strrchr(at, '@'); /* the last one: a password may contain others */
    if (!end) {
        return at;
    }
    const char *colon = memchr(at, ':', (size_t)(end - at));
    if (!colon) {
        return NULL;
    }
    address->user = redis_url_percent_decode(at, (size_t)(colon - at));
    address->password = redis_url_percent_decode(colon + 1, (size_t)(end - colon - 1));
    return end + 1;
}

bool redis_url_parse(const char *url, struct redis_address *address, struct err *err) {
    *address = (struct redis_address){0};
    bool sentinels = false;
    const char *at = redis_url_parse_scheme(url, address, &sentinels);
    at = at ? redis_url_parse_login(address, at) : NULL;
    if (at && (sentinels ? redis_url_parse_sentinels(address, at)
                         : redis_url_parse_server(address, at))) {
        return true;
    }
    redis_address_free(address);
    return err_set(err, ERR_INPUT,
                   "the Redis URL must be redis://[[user]:password@]host[:port][/database], or "
                   "redis-sentinel://[[user]:password@]host[:port][,host[:port]...]"
                   "/primary[/database]; rediss:// and rediss-sentinel:// for TLS");
}

static bool redis_url_same_text(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool redis_url_same_sentinels(const struct redis_address *a, const struct redis_address *b) {
    bool same = a->sentinel_count == b->sentinel_count;
    for (size_t i = 0; same && i < a->sentinel_count; i++) {
        same = strcmp(a->sentinels[i].host, b->sentinels[i].host) == 0 &&
               a->sentinels[i].port == b->sentinels[i].port;
    }
    return same;
}

bool redis_url_same_place(const char *a, const char *b) {
    struct redis_address one = {0}, other = {0};
    struct err ignored = {0};
    bool same = redis_url_parse(a, &one, &ignored) && redis_url_parse(b, &other, &ignored) &&
                redis_url_same_text(one.host, other.host) && one.port == other.port &&
                redis_url_same_text(one.primary, other.primary) && one.db == other.db &&
                one.tls == other.tls && redis_url_same_sentinels(&one, &other);
    redis_address_free(&one);
    redis_address_free(&other);
    return same;
}

void redis_address_free(struct redis_address *address) {
    for (size_t i = 0; i < address->sentinel_count; i++) {
        free(address->sentinels[i].host);
    }
    free(address->sentinels);
    free(address->primary);
    free(address->host);
    free(address->user);
    free(address->password);
    *address = (struct redis_address){0};
}
