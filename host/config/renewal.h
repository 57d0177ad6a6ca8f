/* renewal: logins that change while the program runs. A password that is rotated stands in a file
 * that config.lua reads (NAME_FILE), or in config.lua itself: a thread that is about to connect
 * asks here for the present one. The configuration is read again where it or one of those files has
 * changed, and where a server refuses a login. Only user and password are renewed; a setting that
 * leads to another place wants a restart. Any thread. */
#ifndef AGG_HOST_CONFIG_RENEWAL_H
#define AGG_HOST_CONFIG_RENEWAL_H

#include "config.h"

/* From now on logins are renewed from that file, as which `config` was read. Once in a process,
 * before its threads; without it every login stays as it is. */
void renewal_begin(const char *config_path, const struct config *config);

enum renewal_of { RENEWAL_POSTGRES, RENEWAL_REDIS };
/* The URL with the present user and password, where the configuration names the same place; else as
 * it is. The caller's to free. */
char *renewal_url(enum renewal_of of, const char *url);
/* A server has refused the login of *present, which came from renewal_url: reads the configuration
 * again. True where it has another login now: *present is replaced by it, and is worth a try. */
bool renewal_after_refusal(enum renewal_of of, const char *url, char **present);

/* The SASL user and password for these brokers, malloc'ed; both NULL: the configuration has none.
 */
struct renewal_sasl {
    char *user, *password;
};
struct renewal_sasl renewal_sasl(const char *brokers, bool after_refusal);
void renewal_sasl_free(struct renewal_sasl *sasl);

#endif
