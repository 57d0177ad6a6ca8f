#include "pg_hosts.h"

#include <netdb.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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

/* ---- addresses ------------------------------------------------------------------------------ */

static void pg_hosts_add_host(struct pg_hosts *hosts, struct pg_host host) {
    hosts->items = xrealloc(hosts->items, (hosts->count + 1) * sizeof *hosts->items);
    hosts->items[hosts->count++] = host;
}

static bool pg_hosts_has_addresses(const struct pg_host *host) {
    /* A path, or @ and an abstract name: a Unix socket. */
    return host->name && !host->address && host->name[0] != '/' && host->name[0] != '@';
}

/* Adds each address of the host, or the host itself if the lookup fails: libpq then reports why.
 * Takes over its texts. */
static void pg_hosts_add_addresses(struct pg_hosts *hosts, struct pg_host *host) {
    struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
    if (!pg_hosts_has_addresses(host) || getaddrinfo(host->name, NULL, &wanted, &found) != 0) {
        pg_hosts_add_host(hosts, *host);
        return;
    }
    size_t before = hosts->count;
    for (const struct addrinfo *one = found; one; one = one->ai_next) {
        char text[NI_MAXHOST];
        if (getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, NULL, 0,
                        NI_NUMERICHOST) == 0) {
            pg_hosts_add_host(hosts, (struct pg_host){xstrdup(host->name), xstrdup(text),
                                                      host->port ? xstrdup(host->port) : NULL});
        }
    }
    freeaddrinfo(found);
    if (hosts->count == before) {
        pg_hosts_add_host(hosts, *host);
        return;
    }
    free(host->name);
    free(host->port);
}

void pg_hosts_find(struct pg_hosts *hosts, const PQconninfoOption *options) {
    const char *names = pg_hosts_option_value(options, "host");
    const char *addresses = pg_hosts_option_value(options, "hostaddr");
    const char *ports = pg_hosts_option_value(options, "port");
    size_t count = pg_hosts_list_length(addresses ? addresses : names);
    size_t port_count = pg_hosts_list_length(ports);
    bool agree = (!names || !addresses || pg_hosts_list_length(names) == count) &&
                 (port_count <= 1 || port_count == count);
    *hosts = (struct pg_hosts){.listed = count > 1};
    if (count == 0 || !agree) {
        pg_hosts_add_host(hosts, (struct pg_host){0}); /* libpq's defaults, or its error */
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct pg_host host = {pg_hosts_list_item(names, i), pg_hosts_list_item(addresses, i),
                               pg_hosts_list_item(ports, port_count > 1 ? i : 0)};
        pg_hosts_add_addresses(hosts, &host);
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

#define PLACE_BITS 8
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

size_t pg_hosts_last_good(const char *url) {
    uint64_t mark = pg_hosts_url_mark(url), noted = atomic_load(pg_hosts_slot(mark));
    return (noted & ~(uint64_t)PLACE_MASK) == mark ? noted & PLACE_MASK : 0;
}

void pg_hosts_note_good(const char *url, size_t place) {
    uint64_t mark = pg_hosts_url_mark(url);
    atomic_store(pg_hosts_slot(mark), mark | (place & PLACE_MASK));
}
