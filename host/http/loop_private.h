/* Shared by the files of a loop. All but loop_wake and loop_post are called on the loop's thread.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/log_limit.h"
#include "connection.h"
#include "loop.h"

#define SPARES_MOST 64 /* buffers and exchanges kept: about as many as workers have at once */

struct list {
    struct connection *first, *last;
    size_t count;
};

struct spares {
    void *items[SPARES_MOST];
    size_t count;
};

struct loop {
    const struct loop_shared *shared;
    pthread_t thread;
    int epoll_fd;
    int wake_fd;
    int listener;            /* -1: none, or closed */
    int64_t accept_again_us; /* 0 unless accepting pauses */
    struct log_limit accept_log;
    struct loop **loops; /* the accepting loop deals connections out to these in turn */
    size_t loop_count, next_loop;
    struct list lists[CONNECTION_STATES];
    size_t count;
    struct spares buffers, exchanges;
    char date[RESPONSE_DATE_BYTES];
    int64_t date_s;
    pthread_mutex_t lock;    /* the mailbox */
    struct connection *mail; /* new ones and those with a finished exchange, in order */
    struct connection **mail_end;
    struct connection *news; /* those whose live readers have news; under the lock, too */
    _Atomic bool hands_over;
    _Atomic int64_t ends_us; /* LOOP_RUNS, or when connections that wait are closed */
    _Atomic bool poked;      /* until the loop's next turn */
};

/* ---- loop.c ---- */

void loop_link_last(struct list *list, struct connection *connection);
/* operation: of epoll_ctl(2). False: errno says why. */
bool loop_watch(struct loop *loop, int operation, struct connection *connection);

/* ---- loop_mail.c ---- */

/* Ends the loop's wait. Any thread. */
void loop_wake(struct loop *loop);
/* Gives the loop a new connection, or one with a finished exchange. Any thread. */
void loop_post(struct loop *loop, struct connection *connection);
/* Adopts and resumes what was posted. */
void loop_read_mail(struct loop *loop);
/* Writes the news of live readers. */
void loop_read_news(struct loop *loop);

/* ---- loop_admission.c ---- */

/* Closes the connection that has waited longest for its client, first those that never sent a whole
 * request. False: all are being answered. */
bool loop_evict(struct loop *loop);
/* Serves the new connection, or destroys it. */
void loop_adopt(struct loop *loop, struct connection *connection);
