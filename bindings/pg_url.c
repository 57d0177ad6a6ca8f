#include "pg_url.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/xalloc.h"

char *pg_url_plain(const char *url) {
    static const char *const schemes[] = {"postgresql", "postgres"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t len = strlen(schemes[i]);
        const char *rest = strstr(url, "://");
        if (rest && strncmp(url, schemes[i], len) == 0 && url[len] == '+') {
            struct buffer cut = {0};
            buffer_append_format(&cut, "%s%s", schemes[i], rest);
            return cut.data;
        }
    }
    return xstrdup(url);
}

/* An unescaped @ after the authority belongs to a password with an unescaped slash. */
static bool pg_url_has_stray_at(const char *url) {
    const char *authority = strstr(url, "://");
    if (!authority) {
        return false;
    }
    authority += 3;
    size_t len = strcspn(authority, "/?");
    const char *at = memchr(authority, '@', len);
    bool twice = at && memchr(at + 1, '@', len - (size_t)(at + 1 - authority));
    size_t path = strcspn(authority + len, "?");
    return twice || memchr(authority + len, '@', path);
}

static bool pg_url_is_good_option(const PQconninfoOption *option) {
    if (strcmp(option->keyword, "port") == 0) {
        return strspn(option->val, "0123456789,") == strlen(option->val);
    }
    return strcmp(option->keyword, "host") != 0 || option->val[0] == '@' ||
           !strchr(option->val, '@');
}

PQconninfoOption *pg_url_read(const char *url, struct err *err) {
    char *reason = NULL, *plain = pg_url_plain(url);
    PQconninfoOption *options = PQconninfoParse(plain, &reason);
    bool good = options != NULL && !pg_url_has_stray_at(plain);
    for (const PQconninfoOption *option = options; good && option->keyword; option++) {
        good = !option->val || pg_url_is_good_option(option);
    }
    PQfreemem(reason); /* quotes parts of the URL */
    free(plain);
    if (!good) {
        PQconninfoFree(options);
        err_set(err, ERR_INPUT,
                "the Postgres URL cannot be parsed (is a character of the password not "
                "percent-encoded?)");
        return NULL;
    }
    return options;
}

static bool pg_url_is_login(const char *keyword) {
    return strcmp(keyword, "user") == 0 || strcmp(keyword, "password") == 0;
}

bool pg_url_check(const char *url, struct err *err) {
    PQconninfoOption *options = pg_url_read(url, err);
    PQconninfoFree(options);
    return options != NULL;
}

bool pg_url_same_place(const char *a, const char *b) {
    struct err ignored = {0};
    PQconninfoOption *one = pg_url_read(a, &ignored), *other = pg_url_read(b, &ignored);
    bool same = one && other;
    for (size_t i = 0; same && one[i].keyword; i++) { /* libpq lists the same in the same order */
        const char *left = one[i].val ? one[i].val : "", *right = other[i].val ? other[i].val : "";
        same = pg_url_is_login(one[i].keyword) || strcmp(left, right) == 0;
    }
    PQconninfoFree(one);
    PQconninfoFree(other);
    return same;
}

void pg_url_name(const char *url, char *name, size_t cap) {
    struct err ignored = {0};
    const char *host = NULL, *port = NULL;
    PQconninfoOption *options = pg_url_read(url, &ignored);
    for (const PQconninfoOption *option = options; option && option->keyword; option++) {
        if (strcmp(option->keyword, "host") == 0 ||
            (strcmp(option->keyword, "hostaddr") == 0 && !host)) {
            host = option->val ? option->val : host;
        } else if (strcmp(option->keyword, "port") == 0) {
            bool named = option->val && strpbrk(option->val, "0123456789"); /* of a list "," */
            port = named ? option->val : NULL;
        }
    }
    snprintf(name, cap, "%s:%s", host ? host : "localhost", port ? port : "5432");
    PQconninfoFree(options);
}
