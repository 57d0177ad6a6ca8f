/* login: the present user and password of a server. They may change while the program runs; the
 * program says where they are read (login_set_source). Bindings ask here before each connect. Any
 * thread. */
#ifndef AGG_BINDINGS_LOGIN_H
#define AGG_BINDINGS_LOGIN_H

#include <stdbool.h>

enum login_of { LOGIN_POSTGRES, LOGIN_REDIS };

/* The SASL user and password of a Kafka client, malloc'ed; both NULL: none are configured. */
struct login_sasl {
    char *user, *password;
};

/* after_refusal: a server has refused the login that the source returned last. */
struct login_source {
    /* The URL with the present user and password; the caller frees it. */
    char *(*url)(enum login_of of, const char *url, bool after_refusal);
    struct login_sasl (*sasl)(const char *brokers, bool after_refusal);
};

/* Before the process starts threads; the struct is borrowed. Without a source, logins stay as the
 * URLs have them. */
void login_set_source(const struct login_source *source);

/* The URL with the present user and password. The caller frees it. */
char *login_url(enum login_of of, const char *url);
/* The server refused the login of *present, which login_url returned. Replaces *present by a new
 * read. True: it has another login now, and a second attempt is worth it. */
bool login_after_refusal(enum login_of of, const char *url, char **present);

struct login_sasl login_sasl(const char *brokers, bool after_refusal);
void login_sasl_free(struct login_sasl *sasl);

#endif
