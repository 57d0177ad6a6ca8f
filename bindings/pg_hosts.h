/* pg_hosts: the servers of a Postgres URL, for a deadline each. libpq has one deadline for all, and
 * none for the lookup of a name: a frozen first server hides a promoted second one. Private to the
 * binding. */
#pragma once

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

/* NULL: the URL's value or libpq's default. */
struct pg_host {
    char *name;
    char *address;
    char *port;
};

struct pg_hosts {
    struct pg_host *items; /* at least one */
    size_t count;
    bool listed;          /* the URL names several */
    bool prefers_standby; /* several, by target_session_attrs=prefer-standby */
};

/* options: of pg_url_read. Of a URL without a host those of its service or of libpq's variables. */
void pg_hosts_find(struct pg_hosts *hosts, const char *url, const PQconninfoOption *options);
void pg_hosts_free(struct pg_hosts *hosts);
/* The name is to be looked up: it is neither that of a Unix socket nor beside an address. */
bool pg_hosts_is_name(const struct pg_host *host);

/* A host of a URL, and one of its addresses. */
struct pg_place {
    size_t host, address;
};
/* That of the URL's last successful connect; the first: none. Any thread. */
struct pg_place pg_hosts_last_good(const char *url);
void pg_hosts_note_good(const char *url, struct pg_place place);
