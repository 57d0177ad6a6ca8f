/* proxy: a TCP relay on loopback between a test and its server, on a thread of its own. It can
 * freeze (forward nothing), cut (close every connection, also new ones) and forward again. Without
 * a target it is a server that accepts and never replies. */
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>

#include "sockets.h"

enum proxy_mode { PROXY_PASS, PROXY_FROZEN, PROXY_CUT, PROXY_STOP };

#define PROXY_PAIRS 32

struct proxy {
    pthread_t thread;
    int listener;
    int port;
    int target_port; /* 0: none */
    _Atomic int mode;
    _Atomic int accepted;           /* connections so far */
    int pairs[PROXY_PAIRS][2];      /* client, server; -1 = none */
    _Atomic bool cut_after_request; /* cut once a client has sent something more */
};

static inline void proxy_close(struct proxy *proxy, size_t i) {
    for (int side = 0; side < 2; side++) {
        if (proxy->pairs[i][side] >= 0) {
            /* A reset, as from a server that was killed. */
            struct linger linger = {1, 0};
            setsockopt(proxy->pairs[i][side], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
            close(proxy->pairs[i][side]);
            proxy->pairs[i][side] = -1;
        }
    }
}

static inline void proxy_accept(struct proxy *proxy) {
    int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0) {
        return;
    }
    proxy->accepted++;
    if (proxy->mode == PROXY_CUT) {
        close(client);
        return;
    }
    for (size_t i = 0; i < PROXY_PAIRS; i++) {
        if (proxy->pairs[i][0] < 0) {
            proxy->pairs[i][0] = client;
            proxy->pairs[i][1] = proxy->target_port ? dial_port(proxy->target_port) : -1;
            return;
        }
    }
    close(client);
}

/* Moves what one side has sent; false when it is gone. */
static inline bool proxy_move(int from, int to) {
    char bytes[65536];
    ssize_t got = recv(from, bytes, sizeof bytes, 0);
    for (ssize_t sent = 0, put; sent < got; sent += put) {
        put = send(to, bytes + sent, (size_t)(got - sent), MSG_NOSIGNAL);
        if (put < 0) {
            return false;
        }
    }
    return got > 0;
}

static inline void proxy_turn(struct proxy *proxy) {
    struct pollfd fds[1 + 2 * PROXY_PAIRS] = {{proxy->listener, POLLIN, 0}};
    for (size_t i = 0; i < PROXY_PAIRS; i++) {
        for (size_t side = 0; side < 2; side++) {
            bool passes = proxy->mode == PROXY_PASS && proxy->pairs[i][1] >= 0;
            fds[1 + 2 * i + side] = (struct pollfd){passes ? proxy->pairs[i][side] : -1, POLLIN, 0};
        }
    }
    poll(fds, 1 + 2 * PROXY_PAIRS, 2);
    if (fds[0].revents) {
        proxy_accept(proxy);
    }
    for (size_t i = 0; i < PROXY_PAIRS; i++) {
        bool alive = true;
        for (size_t side = 0; side < 2; side++) {
            if (fds[1 + 2 * i + side].fd >= 0 && fds[1 + 2 * i + side].revents) {
                alive = alive && proxy_move(proxy->pairs[i][side], proxy->pairs[i][1 - side]);
                if (side == 0 && proxy->cut_after_request) {
                    proxy->cut_after_request = false;
                    proxy->mode = PROXY_CUT;
                }
            }
        }
        if (!alive || proxy->mode == PROXY_CUT) {
            proxy_close(proxy, i);
        }
    }
}

static inline void *proxy_main(void *argument) {
    struct proxy *proxy = argument;
    while (proxy->mode != PROXY_STOP) {
        proxy_turn(proxy);
    }
    return NULL;
}

static inline void proxy_start(struct proxy *proxy, int target_port) {
    memset(proxy, 0, sizeof *proxy);
    memset(proxy->pairs, -1, sizeof proxy->pairs);
    proxy->target_port = target_port;
    proxy->listener = listen_any(&proxy->port);
    CHECK(pthread_create(&proxy->thread, NULL, proxy_main, proxy) == 0);
}

static inline void proxy_stop(struct proxy *proxy) {
    proxy->mode = PROXY_STOP;
    pthread_join(proxy->thread, NULL);
    for (size_t i = 0; i < PROXY_PAIRS; i++) {
        proxy_close(proxy, i);
    }
    close(proxy->listener);
}

/* Closes all connections that there are, as the restart of a server does. The first that it closes
 * at once may be closed before them, the second is not. */
static inline void proxy_cut(struct proxy *proxy) {
    proxy->mode = PROXY_CUT;
    for (int i = 0; i < 2; i++) {
        char byte;
        int fd = dial_port(proxy->port);
        CHECK(recv(fd, &byte, 1, 0) <= 0);
        close(fd);
    }
    proxy->mode = PROXY_PASS;
}

/* The port of a server's URL ("…@host:PORT/…"). */
static inline int proxy_url_port(const char *url) {
    const char *colon = strrchr(url, ':');
    return colon ? atoi(colon + 1) : 0;
}
