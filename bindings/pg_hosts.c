#include "pg_hosts.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/slice.h"
#include "base/xalloc.h"

/* ---- lists of the URL ----------------------------------------------------------------------- */

static const char *pg_hosts_option_value(const PQconninfoOption *options, const char *keyword) {
    for (const PQconninfoOption *option = options; option->keyword; option++) {
        if (strcmp(option->keyword, keyword) == 0) {
            return option->val && option->val[0] ? option->val : NULL;
        }
    }
    return NULL;
}

static size_t pg_hosts_list_length(const char *list) {
    size_t count = list ? 1 : 0;
    for (const char *at = list; at && *at; at++) {
        count += *at == ',';
    }
    return count;
}

/* A copy of one item of a comma-separated list; NULL: it is empty or missing. */
static char *pg_hosts_list_item(const char *list, size_t place) {
    for (; list && place > 0; place--) {
        list = strchr(list, ',');
        list = list ? list + 1 : NULL;
    }
    size_t len = list ? strcspn(list, ",") : 0;
    return len > 0 ? xstrndup(list, len) : NULL;
}

/* ---- hosts ---------------------------------------------------------------------------------- */

static void pg_hosts_add(struct pg_hosts *hosts, struct pg_host host) {
    hosts->items = xrealloc(hosts->items, (hosts->count + 1) * sizeof *hosts->items);
    hosts->items[hosts->count++] = host;
}

bool pg_hosts_is_name(const struct pg_host *host) {
    /* A path, or @ and an abstract name: a Unix socket. */
    return host->name && !host->address && host->name[0] != '/' && host->name[0] != '@';
}

/* Adds none if there is no host, or if the lists differ in length: libpq reports that. */
static void pg_hosts_add_listed(struct pg_hosts *hosts, const PQconninfoOption *options) {
    const char *names = pg_hosts_option_value(options, "host");
    const char *addresses = pg_hosts_option_value(options, "hostaddr");
    const char *ports = pg_hosts_option_value(options, "port");
    size_t count = pg_hosts_list_length(addresses ? addresses : names);
    size_t port_count = pg_hosts_list_length(ports);
    bool agree = (!names || !addresses || pg_hosts_list_length(names) == count) &&
                 (port_count <= 1 || port_count == count);
    for (size_t i = 0; agree && i < count; i++) {
        pg_hosts_add(hosts, (struct pg_host){pg_hosts_list_item(names, i),
                                             pg_hosts_list_item(addresses, i),
                                             pg_hosts_list_item(ports, port_count > 1 ? i : 0)});
    }
}

static bool pg_hosts_prefer_standby(const struct pg_hosts *hosts, const PQconninfoOption *options) {
    const char *wanted = pg_hosts_option_value(options, "target_session_attrs");
    return hosts->count > 1 && wanted && strcmp(wanted, "prefer-standby") == 0;
}

/* libpq alone reads services. The bad value makes it stop before it connects, and the password
 * keeps it from the password file. */
static void pg_hosts_add_defaults(struct pg_hosts *hosts, const char *url) {
    const char *const names[] = {"dbname", "password", "channel_binding", NULL};
    const char *const values[] = {url, "none", "none", NULL};
    PGconn *conn = PQconnectStartParams(names, values, 1);
    PQconninfoOption *options = PQconninfo(conn);
    if (options) {
        pg_hosts_add_listed(hosts, options);
        hosts->prefers_standby = pg_hosts_prefer_standby(hosts, options);
    }
    PQconninfoFree(options);
    PQfinish(conn);
}

void pg_hosts_find(struct pg_hosts *hosts, const char *url, const PQconninfoOption *options) {
    *hosts = (struct pg_hosts){0};
    pg_hosts_add_listed(hosts, options);
    hosts->listed = hosts->count > 1;
    hosts->prefers_standby = pg_hosts_prefer_standby(hosts, options);
    if (hosts->count == 0) {
        pg_hosts_add_defaults(hosts, url);
    }
    if (hosts->count == 0) {
        pg_hosts_add(hosts, (struct pg_host){0});
    }
}

void pg_hosts_free(struct pg_hosts *hosts) {
    for (size_t i = 0; i < hosts->count; i++) {
        free(hosts->items[i].name);
        free(hosts->items[i].address);
        free(hosts->items[i].port);
    }
    free(hosts->items);
    *hosts = (struct pg_hosts){0};
}

/* ---- the last good one ---------------------------------------------------------------------- */

#define PLACE_BITS 16 /* eight for the host, eight for the address */
#define PLACE_MASK ((1u << PLACE_BITS) - 1)

/* Of each URL its hash, with the place in the lowest bits. A process has few: two that share a slot
 * forget each other's place. */
#define SLOTS 16
static _Atomic uint64_t last_good[SLOTS];

static uint64_t pg_hosts_url_mark(const char *url) {
    return hash64(slice_of(url)) & ~(uint64_t)PLACE_MASK;
}

static _Atomic uint64_t *pg_hosts_slot(uint64_t mark) {
    return &last_good[(mark >> PLACE_BITS) % SLOTS];
}

struct pg_place pg_hosts_last_good(const char *url) {
    uint64_t mark = pg_hosts_url_mark(url), noted = atomic_load(pg_hosts_slot(mark));
    bool known = (noted & ~(uint64_t)PLACE_MASK) == mark;
    return known ? (struct pg_place){noted >> 8 & 0xFF, noted & 0xFF} : (struct pg_place){0};
}

void pg_hosts_note_good(const char *url, struct pg_place place) {
    uint64_t mark = pg_hosts_url_mark(url);
    atomic_store(pg_hosts_slot(mark), mark | (place.host & 0xFF) << 8 | (place.address & 0xFF));
}
