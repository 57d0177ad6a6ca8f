/* redis_link: the bytes of one connection to Redis, plain or in TLS, without blocking. hiredis
 * connects and parses replies. One thread at a time. */
#pragma once

#include "base/buffer.h"
#include "redis.h"

#define REDIS_LINK_LATE "Redis did not answer in time"

struct redis_link {
    const char *url;                 /* of redis_create; borrowed */
    redisContext *context;           /* socket and reader of replies; NULL: closed */
    struct tls_session *tls;         /* NULL: plain */
    struct buffer out;               /* bytes to be sent: append, then redis_link_write */
    size_t sent;                     /* of `out` */
    struct arena *replies;           /* objects of the present reply */
    redisReplyObjectFunctions *heap; /* of hiredis: objects for freeReplyObject */
    short wants;        /* events that TLS waits for beside those of redis_link_events; 0: none */
    const char *reason; /* of the last failure: static, for readers without a login */
};

/* Connects, and shakes hands if the address has TLS: then the server's certificate must name the
 * address' host. Reads the files of login_redis_tls. A failure is ERR_UNAVAILABLE: no command was
 * sent. */
bool redis_link_open(struct redis_link *link, const struct redis_address *address,
                     int64_t deadline_us, struct err *err);
void redis_link_close(struct redis_link *link); /* keeps the memory of `out` */
void redis_link_free(struct redis_link *link);
/* Reads the files for TLS without connecting. False: the error names the file. */
bool redis_link_check_files(const struct redis_link *link, struct err *err);

/* Sends what the socket takes. *all: nothing is left. False: the connection is lost. */
bool redis_link_write(struct redis_link *link, bool *all, struct err *err);
/* Reads what has arrived, for redis_link_next_reply. False: the connection is lost. */
bool redis_link_read(struct redis_link *link, struct err *err);
/* The next whole reply; NULL: there is none yet. It is valid until redis_link_drop_reply, which
 * comes before the next call. False: the bytes are no replies. */
bool redis_link_next_reply(struct redis_link *link, redisReply **reply, struct err *err);
void redis_link_drop_reply(struct redis_link *link);
/* Sends `out`, waits for `count` replies, and passes each to `take`; its false ends the exchange.
 */
typedef bool (*redis_link_take)(void *context, size_t index, const redisReply *reply,
                                struct err *err);
bool redis_link_exchange(struct redis_link *link, size_t count, int64_t deadline_us,
                         redis_link_take take, void *context, struct err *err);
/* Between exchanges. kept: the next replies are the caller's, for freeReplyObject. */
void redis_link_keep_replies(struct redis_link *link, bool kept);
/* Between exchanges: false if the server has closed the connection or sent a reply to no command.
 */
bool redis_link_is_quiet(struct redis_link *link);
/* For poll(2). */
short redis_link_events(const struct redis_link *link);
/* Waits for events. False: ERR_TIMEOUT, the deadline has passed. */
bool redis_link_wait(const struct redis_link *link, short events, int64_t deadline_us,
                     struct err *err);
