/* redis: one non-blocking hiredis connection; each pipeline has one deadline. One thread at a time.
 * A connection serves the primary that its URL, or the Sentinels of its URL, name: a reply of a
 * read-only replica, and a failover that another connection has found, make the next exchange
 * connect again. An error drops the connection (a late reply would belong to the wrong command);
 * then calls fail at once for a back-off of 100 ms, doubling to 5 s, before one call reconnects. */
#pragma once

#include <hiredis/hiredis.h>

#include "base/err.h"
#include "base/slice.h"

struct redis_place {
    char *host;
    int port;
};

/* A parsed URL, which owns its strings. */
struct redis_address {
    char *host;     /* with Sentinels: of the primary that they name; NULL: not asked yet */
    char *user;     /* "": the default user */
    char *password; /* secret; NULL: no AUTH */
    int port;
    int db;
    bool tls;      /* the scheme begins with rediss */
    char *primary; /* the name by which the Sentinels know it; NULL: without Sentinels */
    struct redis_place *sentinels;
    size_t sentinel_count;
};
/* redis://[[user]:password@]host[:port][/database], percent escapes in user and password decoded;
 * redis-sentinel://[[user]:password@]host[:port][,host[:port]…]/primary[/database] for the primary
 * that Sentinels name, whose login the URL has, not theirs (login_redis_sentinel). rediss:// and
 * rediss-sentinel:// for TLS, with the files of login_redis_tls (login.h).
 * False: ERR_INPUT, without the URL's text. */
bool redis_url_parse(const char *url, struct redis_address *address, struct err *err);
/* True: the URLs differ in user and password at most. */
bool redis_url_same_place(const char *a, const char *b);
void redis_address_free(struct redis_address *address);

struct redis;

/* Does not connect. NULL: err for a bad URL, or for a file of TLS that cannot be used. */
struct redis *redis_create(const char *url, int timeout_ms, struct err *err);
void redis_destroy(struct redis *redis);
bool redis_connected(const struct redis *redis);
/* False: another connection of this URL has found another server, of a failover or a restart, since
 * this one was opened; its next exchange connects again. Any thread. */
bool redis_is_current(const struct redis *redis);
bool redis_resting(const struct redis *redis);     /* during the back-off */
int redis_next_rest_ms(const struct redis *redis); /* after the next failure */

/* For a start: connects once, and warns of a Redis that evicts keys. False: the URL cannot be used,
 * or it names a server that never can be (a node of a cluster, a Sentinel): ERR_INPUT. A server
 * that is not there is no mistake. */
bool redis_check_server(const char *url, int timeout_ms, struct err *err);

/* Why Redis could not be asked: a static text for readers without a login. After a failed connect
 * the reason stays during the back-off. */
const char *redis_plain_reason(const struct redis *redis, const struct err *err);

/* Queues one command; copies the arguments. */
bool redis_append(struct redis *redis, const struct slice *args, size_t count, struct err *err);
size_t redis_queued(const struct redis *redis); /* commands of the next exchange */
/* Called once per command, in order; the reply is valid until the callback returns. */
typedef void (*redis_on_reply)(void *context, size_t index, const redisReply *reply);
/* Connects if needed, sends the queue and reads all replies within the timeout of redis_create. A
 * failure empties the queue and drops the connection. */
bool redis_run(struct redis *redis, redis_on_reply on_reply, void *context, struct err *err);
/* The same, within timeout_ms if that is shorter. The caller frees the replies (freeReplyObject),
 * one per command, also those received before a failure. */
bool redis_run_within(struct redis *redis, int timeout_ms, redisReply **replies, struct err *err);

/* Connects if needed and starts to send the queue; redis_progress or redis_finish completes the
 * exchange. Commands appended meanwhile are for the next exchange. A failure is as above. */
bool redis_begin(struct redis *redis, redis_on_reply on_reply, void *context, struct err *err);
enum redis_progress { REDIS_PENDING, REDIS_DONE, REDIS_FAILED };
/* Sends and receives without blocking. REDIS_DONE also without an exchange. */
enum redis_progress redis_progress(struct redis *redis, struct err *err);
/* Waits for the end of the exchange, at most until its deadline. */
bool redis_finish(struct redis *redis, struct err *err);
bool redis_all_sent(const struct redis *redis); /* only replies are missing */
/* For poll(2) during an exchange; otherwise -1. */
int redis_socket(const struct redis *redis);
short redis_poll_events(const struct redis *redis);

/* Runs the queue and SUBSCRIBE as one exchange; the reply to SUBSCRIBE is the last. Then only
 * redis_receive and redis_ping are allowed until redis_disconnect. */
bool redis_subscribe(struct redis *redis, const char *channel, redis_on_reply on_reply,
                     void *context, struct err *err);
/* Passes received messages and replies to redis_ping to on_push (index 0), in order, without
 * blocking. False: the connection is lost, or no longer current. */
bool redis_receive(struct redis *redis, redis_on_reply on_push, void *context, struct err *err);
/* Its reply follows all messages that were published before. False: the connection is lost. */
bool redis_ping(struct redis *redis, struct err *err);
int redis_subscription_socket(const struct redis *redis);
void redis_disconnect(struct redis *redis);
