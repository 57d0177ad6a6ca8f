#include "host_lookup.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/thread.h"
#include "base/xalloc.h"

/* The callers of a name share its lookup. One that has run for long may ask name servers that
 * resolv.conf names no more: another one starts beside it. */
#define SHARED_US 5000000
#define OF_A_NAME_MOST 4

/* Its thread and its callers share it; the last one frees it. */
struct lookup {
    char *host;
    int64_t started_us;
    int users;
    bool ended;
    int failure; /* of getaddrinfo, and its errno */
    int reason;
    struct host_addresses found;
    struct lookup *next; /* an older one */
};

/* Guards what follows, and each lookup but its host. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended;   /* one of them */
static struct lookup *running; /* youngest first */
static size_t running_count;

static void host_lookup_init(void) {
    clock_condition_init(&ended);
}

/* ---- addresses ------------------------------------------------------------------------------ */

void host_addresses_free(struct host_addresses *found) {
    free(found->items);
    *found = (struct host_addresses){0};
}

static void host_lookup_add(struct host_addresses *found, const char *address) {
    found->items = xrealloc(found->items, (found->count + 1) * sizeof *found->items);
    snprintf(found->items[found->count++], sizeof *found->items, "%s", address);
}

/* Returns the failure of getaddrinfo, or 0. */
static int host_lookup_find(const char *host, int flags, struct host_addresses *found) {
    struct addrinfo wanted = {
        .ai_flags = flags, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int failure = getaddrinfo(host, NULL, &wanted, &list);
    if (failure != 0) {
        return failure;
    }
    for (const struct addrinfo *one = list; one; one = one->ai_next) {
        char text[HOST_ADDRESS_CAP];
        if (getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, NULL, 0,
                        NI_NUMERICHOST) == 0) {
            host_lookup_add(found, text);
        }
    }
    freeaddrinfo(list);
    return found->count > 0 ? 0 : EAI_NODATA;
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void host_lookup_leave(struct lookup *lookup) {
    if (--lookup->users == 0) {
        host_addresses_free(&lookup->found);
        free(lookup->host);
        free(lookup);
    }
}

static void host_lookup_remove(const struct lookup *lookup) {
    struct lookup **at = &running;
    while (*at != lookup) {
        at = &(*at)->next;
    }
    *at = lookup->next;
    running_count--;
}

static void *host_lookup_main(void *argument) {
    struct lookup *lookup = argument;
    struct host_addresses found = {0};
    int failure = host_lookup_find(lookup->host, 0, &found), reason = errno;
    pthread_mutex_lock(&lock);
    lookup->failure = failure;
    lookup->reason = reason;
    lookup->found = found;
    lookup->ended = true;
    host_lookup_remove(lookup);
    host_lookup_leave(lookup);
    pthread_cond_broadcast(&ended);
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* ---- the callers ---------------------------------------------------------------------------- */

static struct lookup *host_lookup_start(const char *host, struct err *err) {
    struct lookup *lookup = xcalloc(1, sizeof *lookup);
    *lookup = (struct lookup){
        .host = xstrdup(host), .started_us = clock_monotonic_us(), .users = 2, .next = running};
    int failure = thread_start_detached(host_lookup_main, lookup, "lookup");
    if (failure != 0) {
        lookup->users = 1;
        host_lookup_leave(lookup);
        err_set(err, ERR_UNAVAILABLE, "cannot look up the host name \"%s\": no thread: %s", host,
                strerror(failure));
        return NULL;
    }
    running = lookup;
    running_count++;
    return lookup;
}

/* The youngest lookup of the name; *count: how many run. */
static struct lookup *host_lookup_youngest(const char *host, int *count) {
    struct lookup *youngest = NULL;
    *count = 0;
    for (struct lookup *one = running; one; one = one->next) {
        if (strcmp(one->host, host) == 0) {
            youngest = youngest ? youngest : one;
            ++*count;
        }
    }
    return youngest;
}

/* The lookup of the name that runs, or a new one. */
static struct lookup *host_lookup_join(const char *host, struct err *err) {
    int of_name;
    struct lookup *youngest = host_lookup_youngest(host, &of_name);
    bool full = running_count >= HOST_LOOKUPS_MOST;
    if (youngest && (full || of_name >= OF_A_NAME_MOST ||
                     clock_monotonic_us() - youngest->started_us < SHARED_US)) {
        youngest->users++;
        return youngest;
    }
    if (full) {
        err_set(err, ERR_UNAVAILABLE,
                "cannot look up the host name \"%s\": %d earlier lookups hang: see whether the "
                "name servers of resolv.conf answer",
                host, HOST_LOOKUPS_MOST);
        return NULL;
    }
    return host_lookup_start(host, err);
}

static bool host_lookup_take(const struct lookup *lookup, struct host_addresses *found,
                             struct err *err) {
    if (!lookup->ended) {
        return err_set(err, ERR_TIMEOUT,
                       "cannot look up the host name \"%s\": the name service did not answer in "
                       "time: see the name servers of resolv.conf",
                       lookup->host);
    }
    if (lookup->failure != 0) {
        return err_set(err, ERR_UNAVAILABLE, "cannot look up the host name \"%s\": %s",
                       lookup->host,
                       lookup->failure == EAI_SYSTEM ? strerror(lookup->reason)
                                                     : gai_strerror(lookup->failure));
    }
    for (size_t i = 0; i < lookup->found.count; i++) {
        host_lookup_add(found, lookup->found.items[i]);
    }
    return true;
}

bool host_lookup(const char *host, int64_t deadline_us, struct host_addresses *found,
                 struct err *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, host_lookup_init);
    *found = (struct host_addresses){0};
    if (host_lookup_find(host, AI_NUMERICHOST, found) == 0) {
        return true;
    }
    pthread_mutex_lock(&lock);
    struct lookup *lookup = host_lookup_join(host, err);
    bool ok = lookup != NULL;
    if (ok) {
        while (!lookup->ended && clock_condition_wait(&ended, &lock, deadline_us) == 0) {
        }
        ok = host_lookup_take(lookup, found, err);
        host_lookup_leave(lookup);
    }
    pthread_mutex_unlock(&lock);
    return ok;
}
