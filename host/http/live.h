/* live: readers of live routes (Server-Sent Events, HTML Living Standard 9.2): which path each
 * reader watches, which commits may change its answer, and what it is sent next. One thread asks
 * for answers; the readers' loops write them. Knows no socket and no script.
 *
 * A reader gets the newest answer. An answer that it has not taken is replaced by the next one: a
 * slow reader costs one message. */
#pragma once

#include <stdint.h>

#include "cache/cache.h"

struct live;
struct live_reader;

/* The answer to a path at one moment. */
struct live_answer {
    struct cached_response *cached; /* owned by the caller of `ask` */
    uint64_t *tags;                 /* malloc'ed: what it depends on; none: asked for every 5 s */
    size_t tag_count;
    size_t about; /* the site's */
    void *held;   /* the site's, for translate and release */
};

/* What a site tells of its answers. Called on live's thread. */
struct live_site {
    void *context;
    /* NULL in `cached`: err; the thread asks again a second later. */
    bool (*ask)(void *context, struct slice path, struct live_answer *answer, struct err *err);
    /* The answer in the words of a reader's caller ("": none): a new reference. */
    struct cached_response *(*translate)(const struct live_answer *answer, const char *caller);
    void (*release)(void *held);
    /* Whether the commits of all processes arrive by live_invalidate. While they do not, the thread
     * asks for all answers every few seconds. */
    bool (*hears)(void *context);
};

/* Starts the thread. NULL: err. */
struct live *live_create(const struct live_site *site, struct err *err);
/* Every reader must have left. */
void live_destroy(struct live *live);

/* After a commit, on any thread: answers with these tags may have changed; count 0: all may. Takes
 * no time worth counting while nobody watches. A `cache_listener`. */
void live_invalidate(void *live, const uint64_t *tags, size_t count);
/* Asks for all answers: other scripts run. */
void live_refresh(struct live *live);
/* Ends the streams of all readers, who may come again: their keys may have been revoked. */
void live_end_all(struct live *live);

struct live_request {
    struct slice path;          /* the site's text, by which it finds the answer */
    struct slice last_event_id; /* of the answer that the client has; data NULL: none */
    struct slice caller;        /* whose words the answers have; data NULL: none */
    bool wants_answer;          /* in the events, beside the ETag */
};

/* A reader that does not watch yet. NULL: `most` are there. */
struct live_reader *live_reader_create(struct live *live, const struct live_request *request,
                                       size_t most);

/* Begins to watch. notify(context) is called on any thread whenever live_reader_take has something
 * again, and no longer once live_reader_leave has returned. */
void live_reader_join(struct live_reader *reader, void (*notify)(void *context), void *context);
/* The next bytes to write, which the caller frees with live_message_unref; NULL: none now. *ends:
 * the stream ends after them. */
struct live_message *live_reader_take(struct live_reader *reader, bool *ends);
/* Ends a reader, whether it watches or not, and frees it. NULL: nothing. */
void live_reader_leave(struct live_reader *reader);
/* Counts a reader whose client took nothing for too long. */
void live_reader_count_slow(struct live_reader *reader);

/* Immutable; any thread. */
struct live_message {
    int refs;
    size_t len;
    char bytes[];
};
/* The event of an answer, with the whole answer or the ETag and the status alone. */
struct live_message *live_message_of(const struct cached_response *cached, bool with_answer);
/* A comment: keeps connections and proxies from ending an idle stream. */
struct live_message *live_message_heartbeat(void);
struct live_message *live_message_ref(struct live_message *message);
void live_message_unref(struct live_message *message);
