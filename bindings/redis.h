/* redis: one hiredis connection, non-blocking underneath, every pipeline with one deadline. One
 * thread at a time. After any error the connection is dropped (a late reply would answer the wrong
 * command) and a breaker keeps callers from waiting on a dead server: while open, calls fail at
 * once; one attempt is let through per back-off (100 ms doubling to 5 s). */
#ifndef AGG_BINDINGS_REDIS_H
#define AGG_BINDINGS_REDIS_H

#include <hiredis/hiredis.h>

#include "base/err.h"
#include "base/slice.h"

/* What a URL says. Owned strings. */
struct redis_address {
    char *host;
    char *user;     /* "" = the default user */
    char *password; /* secret; NULL = no AUTH */
    int port;
    int db;
};
/* redis://[[user]:password@]host[:port][/database], percent escapes in user and password decoded.
 * False: ERR_INPUT, without the URL's text. */
bool redis_url_parse(const char *url, struct redis_address *address, struct err *err);
/* Whether both lead to the same database of the same server: all but user and password is alike. */
bool redis_url_same_place(const char *a, const char *b);
void redis_address_free(struct redis_address *address);

struct redis;

/* NULL + err when the URL cannot be parsed. No network yet. Host names are looked up at connecting,
 * by getaddrinfo, outside the deadline. */
struct redis *redis_create(const char *url, int timeout_ms, struct err *err);
void redis_destroy(struct redis *redis);
bool redis_connected(const struct redis *redis);
/* True while the breaker says not to try. */
bool redis_resting(const struct redis *redis);

/* Queues one command (no network). Arguments are copied. */
bool redis_append(struct redis *redis, const struct slice *args, size_t count, struct err *err);
/* Called once per queued command, in order; the reply is freed afterwards. */
typedef void (*redis_on_reply)(void *context, size_t index, const redisReply *reply);
/* Connects if need be, sends what is queued and reads every reply within timeout_ms of
 * redis_create. On failure the queue is emptied and the connection dropped. */
bool redis_run(struct redis *redis, redis_on_reply on_reply, void *context, struct err *err);
/* Likewise within timeout_ms too; the replies, one a queued command, are put into `replies` and are
 * the caller's to free (freeReplyObject), those that came before a failure too. */
bool redis_run_within(struct redis *redis, int timeout_ms, redisReply **replies, struct err *err);

/* Connects if need be and begins to send what is queued: redis_progress does the rest, or
 * redis_finish. Nothing else may be run until that is done; what is appended meanwhile is for the
 * next. False on failure, as above. */
bool redis_begin(struct redis *redis, redis_on_reply on_reply, void *context, struct err *err);
enum redis_progress { REDIS_PENDING, REDIS_DONE, REDIS_FAILED };
/* Sends and reads what it can without waiting. REDIS_DONE, too, when nothing is under way. */
enum redis_progress redis_progress(struct redis *redis, struct err *err);
/* Waits for what is under way, at most until its deadline. */
bool redis_finish(struct redis *redis, struct err *err);
/* Whether all that is under way has left: only replies are missing. */
bool redis_all_sent(const struct redis *redis);
/* What to poll(2) for while it is pending; -1 while nothing is. */
int redis_socket(const struct redis *redis);
short redis_poll_events(const struct redis *redis);

/* A subscription: runs what is queued and SUBSCRIBE in one exchange of one connection, as redis_run
 * does; SUBSCRIBE's reply is the last. From then on the connection only takes redis_hear and
 * redis_ping, until redis_disconnect. */
bool redis_subscribe(struct redis *redis, const char *channel, redis_on_reply on_reply,
                     void *context, struct err *err);
/* Gives what has come to on_push, messages and replies to redis_ping in order, without waiting:
 * index is 0. False: the connection is lost. */
bool redis_hear(struct redis *redis, redis_on_reply on_push, void *context, struct err *err);
/* Its reply is heard after all that was published before. False: the connection is lost. */
bool redis_ping(struct redis *redis, struct err *err);
/* What to poll(2) for reading while subscribed. */
int redis_hearing_socket(const struct redis *redis);
void redis_disconnect(struct redis *redis);

#endif
