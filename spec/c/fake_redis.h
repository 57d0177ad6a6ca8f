/* fake_redis: a server on loopback that replies to commands from a table, on a thread of its own.
 * It is what no Redis of a test can be: a node of a cluster, another vendor's server, a Sentinel
 * that names any address. */
#pragma once

#include "proxy.h"

struct fake_reply {
    const char *words; /* how the command begins: its arguments, each followed by a space */
    const char *reply; /* in RESP */
};

#define FAKE_REPLIES 12
#define FAKE_PONG "+PONG\r\n"

struct fake_redis {
    pthread_t thread;
    int listener, port;
    _Atomic bool stops;
    _Atomic int accepted;    /* connections so far */
    _Atomic int connections; /* open ones */
    int clients[PROXY_PAIRS];
    struct fake_reply replies[FAKE_REPLIES]; /* others get +OK */
    char heard[4096];                        /* all commands */
};

/* Turns one RESP command at `bytes` into words with a space after each; returns its length, 0: it
 * is not complete. */
static inline size_t fake_redis_words(const char *bytes, char *words, size_t cap) {
    char *at;
    long count = strtol(bytes + 1, &at, 10);
    size_t used = 0;
    for (long i = 0; i < count; i++) {
        if (strncmp(at, "\r\n$", 3) != 0) {
            return 0;
        }
        long len = strtol(at + 3, &at, 10);
        if (strlen(at) < (size_t)len + 4) {
            return 0;
        }
        used += (size_t)snprintf(words + used, cap - used, "%.*s ", (int)len, at + 2);
        at += 2 + len;
    }
    return (size_t)(at + 2 - bytes);
}

static inline void fake_redis_answer(struct fake_redis *fake, int client, const char *words) {
    const char *reply = "+OK\r\n";
    for (size_t i = 0; i < FAKE_REPLIES && fake->replies[i].words; i++) {
        if (strncmp(words, fake->replies[i].words, strlen(fake->replies[i].words)) == 0) {
            reply = fake->replies[i].reply;
            break;
        }
    }
    size_t heard = strlen(fake->heard);
    snprintf(fake->heard + heard, sizeof fake->heard - heard, "%s\n", words);
    send(client, reply, strlen(reply), MSG_NOSIGNAL);
}

/* False: the client is gone. Commands of this test are in one piece. */
static inline bool fake_redis_serve(struct fake_redis *fake, int client) {
    char bytes[8192], words[4096];
    ssize_t got = recv(client, bytes, sizeof bytes - 1, 0);
    if (got <= 0) {
        return false;
    }
    bytes[got] = '\0';
    for (size_t at = 0, len; at < (size_t)got; at += len) {
        len = fake_redis_words(bytes + at, words, sizeof words);
        if (len == 0) {
            return false;
        }
        fake_redis_answer(fake, client, words);
    }
    return true;
}

static inline void *fake_redis_main(void *argument) {
    struct fake_redis *fake = argument;
    while (!fake->stops) {
        struct pollfd fds[1 + PROXY_PAIRS] = {{fake->listener, POLLIN, 0}};
        for (size_t i = 0; i < PROXY_PAIRS; i++) {
            fds[1 + i] = (struct pollfd){fake->clients[i], POLLIN, 0};
        }
        poll(fds, 1 + PROXY_PAIRS, 2);
        for (size_t i = 0; i < PROXY_PAIRS; i++) {
            if (fds[1 + i].fd >= 0 && fds[1 + i].revents &&
                !fake_redis_serve(fake, fds[1 + i].fd)) {
                close(fake->clients[i]);
                fake->clients[i] = -1;
                fake->connections--;
            }
        }
        for (size_t i = 0; fds[0].revents && i < PROXY_PAIRS; i++) {
            if (fake->clients[i] < 0) {
                fake->clients[i] = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC);
                fake->accepted++;
                fake->connections++;
                break;
            }
        }
    }
    return NULL;
}

static inline void fake_redis_start(struct fake_redis *fake, const struct fake_reply *replies) {
    memset(fake, 0, sizeof *fake);
    memset(fake->clients, -1, sizeof fake->clients);
    for (size_t i = 0; replies && replies[i].words; i++) {
        fake->replies[i] = replies[i];
    }
    fake->listener = listen_any(&fake->port);
    CHECK(pthread_create(&fake->thread, NULL, fake_redis_main, fake) == 0);
}

static inline void fake_redis_stop(struct fake_redis *fake) {
    fake->stops = true;
    pthread_join(fake->thread, NULL);
    for (size_t i = 0; i < PROXY_PAIRS; i++) {
        if (fake->clients[i] >= 0) {
            close(fake->clients[i]);
        }
    }
    close(fake->listener);
}
