/* pg_hosts: the servers of a Postgres URL, for a deadline each. libpq has one deadline for all: a
 * frozen first server hides a promoted second one. Private to the binding. */
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
    struct pg_host *items; /* at least one; one for each address of a name */
    size_t count;
    bool listed; /* the URL names several */
};

/* Calls getaddrinfo, which ignores deadlines: resolv.conf limits it. */
void pg_hosts_find(struct pg_hosts *hosts, const PQconninfoOption *options);
void pg_hosts_free(struct pg_hosts *hosts);

/* The index of the server of this URL with the last successful connect; 0: none. Any thread. */
size_t pg_hosts_last_good(const char *url);
void pg_hosts_note_good(const char *url, size_t place);
