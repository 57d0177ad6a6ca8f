/* pg_hosts: the servers that a Postgres URL names, so that each can be tried with a deadline of its
 * own. libpq tries them all within one wait: a frozen first server hides a promoted second.
 * Private to the binding. */
#ifndef AGG_BINDINGS_PG_HOSTS_H
#define AGG_BINDINGS_PG_HOSTS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

/* NULL: as the URL and libpq's defaults have it. */
struct pg_host {
    char *name;
    char *address;
    char *port;
};

struct pg_hosts {
    struct pg_host *items; /* at least one; a name with several addresses is several */
    size_t count;
    bool listed; /* the URL itself names several */
};

/* Looks names up by getaddrinfo, which is outside every deadline: resolv.conf bounds it. */
void pg_hosts_find(struct pg_hosts *hosts, const PQconninfoOption *options);
void pg_hosts_free(struct pg_hosts *hosts);

/* The place of the server of this URL that this process was last connected with: it is tried first.
 * 0 before any. Any thread. */
size_t pg_hosts_last_good(const char *url);
void pg_hosts_note_good(const char *url, size_t place);

#endif
