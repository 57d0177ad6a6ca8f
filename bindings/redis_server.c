#include "redis_server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/xalloc.h"

/* Two servers that answer in turn take over from each other at most so often. */
#define CHANGE_INTERVAL_US 1000000

struct redis_server {
    struct redis_server *next;
    char *url;
    int refs;
    uint64_t run;       /* 0: unknown */
    int64_t changed_us; /* 0: never */
    atomic_uint changes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all but `changes` */
static struct redis_server *servers;

struct redis_server *redis_server_of(const char *url) {
    pthread_mutex_lock(&lock);
    struct redis_server *server = servers;
    while (server && strcmp(server->url, url) != 0) {
        server = server->next;
    }
    if (!server) {
        server = xcalloc(1, sizeof *server);
        server->url = xstrdup(url);
        server->next = servers;
        servers = server;
    }
    server->refs++;
    pthread_mutex_unlock(&lock);
    return server;
}

void redis_server_unref(struct redis_server *server) {
    if (!server) {
        return;
    }
    pthread_mutex_lock(&lock);
    bool is_last = --server->refs == 0;
    struct redis_server **at = &servers;
    while (is_last && *at != server) {
        at = &(*at)->next;
    }
    if (is_last) {
        *at = server->next;
    }
    pthread_mutex_unlock(&lock);
    if (is_last) {
        free(server->url);
        free(server);
    }
}

unsigned redis_server_changes(const struct redis_server *server) {
    return atomic_load_explicit(&server->changes, memory_order_acquire);
}

bool redis_server_note(struct redis_server *server, uint64_t run, unsigned *changes) {
    int64_t now_us = clock_monotonic_us();
    pthread_mutex_lock(&lock);
    bool is_other = run != 0 && server->run != 0 && server->run != run;
    bool ok =
        !is_other || server->changed_us == 0 || now_us - server->changed_us >= CHANGE_INTERVAL_US;
    if (ok && is_other) {
        server->changed_us = now_us;
        atomic_fetch_add_explicit(&server->changes, 1, memory_order_release);
    }
    if (ok && run != 0) {
        server->run = run;
    }
    *changes = redis_server_changes(server);
    pthread_mutex_unlock(&lock);
    return ok;
}
