/* login: the present user and password of a server, and the files of its TLS, which bindings
 * request before each connect. login_set_source tells where they come from. Any thread. */
#pragma once

#include <stdbool.h>

enum login_of { LOGIN_POSTGRES, LOGIN_REDIS };

/* A user and a password, malloc'ed; NULL or "": none is configured. */
struct login_pair {
    char *user, *password;
};

/* PEM files for the TLS of Redis, malloc'ed; NULL or "": none (tls_options in tls.h). */
struct login_tls {
    char *ca, *certificate, *key;
};

/* after_refusal: the server refused the last login. */
struct login_source {
    /* The URL with the present user and password; the caller frees it. */
    char *(*url)(enum login_of of, const char *url, bool after_refusal);
    struct login_pair (*sasl)(const char *brokers, bool after_refusal);
    struct login_tls (*redis_tls)(const char *url);
    struct login_pair (*redis_sentinel)(const char *url);
};

/* Before any thread starts; borrows the struct. Without a source the URLs' logins are used. */
void login_set_source(const struct login_source *source);

/* The URL with the present user and password. The caller frees it. */
char *login_url(enum login_of of, const char *url);
/* Re-reads the login after the server refused *present. True: it has changed, retry once. */
bool login_after_refusal(enum login_of of, const char *url, char **present);

/* Of a Kafka client; both NULL: none are configured. */
struct login_pair login_sasl(const char *brokers, bool after_refusal);
/* Of the Sentinels of a Redis URL. */
struct login_pair login_redis_sentinel(const char *url);
void login_pair_free(struct login_pair *pair);

struct login_tls login_redis_tls(const char *url);
void login_tls_free(struct login_tls *tls);
