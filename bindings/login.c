#include "login.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

static const struct login_source *source;

void login_set_source(const struct login_source *from) {
    source = from;
}

static char *login_present_url(enum login_of of, const char *url, bool after_refusal) {
    return source ? source->url(of, url, after_refusal) : xstrdup(url);
}

char *login_url(enum login_of of, const char *url) {
    return login_present_url(of, url, false);
}

bool login_after_refusal(enum login_of of, const char *url, char **present) {
    char *now = login_present_url(of, url, true);
    bool is_other = strcmp(now, *present) != 0;
    free(*present);
    *present = now;
    return is_other;
}

struct login_pair login_sasl(const char *brokers, bool after_refusal) {
    return source ? source->sasl(brokers, after_refusal) : (struct login_pair){0};
}

struct login_pair login_redis_sentinel(const char *url) {
    return source ? source->redis_sentinel(url) : (struct login_pair){0};
}

void login_pair_free(struct login_pair *pair) {
    free(pair->user);
    free(pair->password);
    *pair = (struct login_pair){0};
}

struct login_tls login_redis_tls(const char *url) {
    return source ? source->redis_tls(url) : (struct login_tls){0};
}

void login_tls_free(struct login_tls *tls) {
    free(tls->ca);
    free(tls->certificate);
    free(tls->key);
    *tls = (struct login_tls){0};
}
