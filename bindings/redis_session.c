#include "redis_session.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/log.h"
#include "redis_command.h"
#include "redis_sentinel.h"

/* The commands that open a session, in this order, as far as they are needed. A replica is refused
 * by ROLE before SERVER makes all other connections leave the primary. */
enum opening { AUTH, ROLE, SERVER, MEMORY, SELECT, OPENINGS };

struct opened {
    struct redis_session *session;
    struct redis_link *link;
    const struct redis_address *address;
    enum opening asked[OPENINGS];
    size_t count;
};

/* ---- what INFO says ------------------------------------------------------------------------- */

/* The value of a line "name:value"; empty: there is none. */
static struct slice redis_session_field(const redisReply *info, const char *name) {
    size_t name_len = strlen(name);
    const char *at = info->str, *end = info->str + info->len;
    while (at < end) {
        const char *line_end = memchr(at, '\r', (size_t)(end - at));
        line_end = line_end ? line_end : end;
        if ((size_t)(line_end - at) > name_len && memcmp(at, name, name_len) == 0 &&
            at[name_len] == ':') {
            at += name_len + 1;
            return (struct slice){at, (size_t)(line_end - at)};
        }
        at = line_end < end ? line_end + 2 : end;
    }
    return (struct slice){"", 0};
}

static bool redis_session_is(const redisReply *info, const char *name, const char *value) {
    return slice_equal(redis_session_field(info, name), slice_of(value));
}

/* Valkey names the field after itself. */
static bool redis_session_has_mode(const redisReply *info, const char *mode) {
    return redis_session_is(info, "redis_mode", mode) ||
           redis_session_is(info, "server_mode", mode);
}

static bool redis_session_refuse(const struct opened *opened, const char *reason, const char *what,
                                 struct err *err) {
    opened->session->unfit = true;
    opened->link->reason = reason;
    return err_set(err, ERR_UNAVAILABLE, "%s:%d is %s", opened->address->host,
                   opened->address->port, what);
}

static bool redis_session_judge_server(const struct opened *opened, const redisReply *info,
                                       struct err *err) {
    struct redis_session *session = opened->session;
    if (redis_session_has_mode(info, "cluster")) {
        return redis_session_refuse(
            opened, "redis.url names a node of a Redis Cluster, which the program cannot use",
            "a node of a Redis Cluster, whose commands may name keys of one slot only: redis.url "
            "must name a primary outside a cluster, alone or behind Sentinels",
            err);
    }
    if (redis_session_has_mode(info, "sentinel")) {
        return redis_session_refuse(opened, "redis.url names a Sentinel as if it were Redis",
                                    "a Sentinel: name it as redis-sentinel://HOST:PORT/PRIMARY, "
                                    "with the name of the primary that it watches",
                                    err);
    }
    struct slice run = redis_session_field(info, "run_id");
    if (redis_server_note(session->server, run.len > 0 ? hash64(run) : 0, &session->changes)) {
        return true;
    }
    opened->link->reason = "two servers of Redis answer in turn";
    return err_set(err, ERR_UNAVAILABLE,
                   "%s:%d is another server than a moment ago: waiting until one stays",
                   opened->address->host, opened->address->port);
}

/* A Sentinel names the old primary until the failover has ended. */
static bool redis_session_judge_role(const struct opened *opened, const redisReply *info,
                                     struct err *err) {
    if (!redis_session_is(info, "role", "slave")) {
        return true;
    }
    opened->link->reason = "the Sentinels name a replica: the failover has not ended";
    return err_set(err, ERR_UNAVAILABLE, "%s:%d is a replica, and the Sentinels name it as primary",
                   opened->address->host, opened->address->port);
}

/* An evicted key may be a dependency of a cached response. */
static bool redis_session_judge_memory(const redisReply *info) {
    struct slice policy = redis_session_field(info, "maxmemory_policy");
    if (policy.len > 0 && !redis_session_is(info, "maxmemory", "0") &&
        !slice_equal(policy, slice_of("noeviction"))) {
        log_warning("Redis evicts keys: cached responses may be outdated until their time ends; "
                    "set maxmemory-policy noeviction",
                    LOG_SLICE("policy", policy));
    }
    return true;
}

static bool redis_session_judge(const struct opened *opened, enum opening what,
                                const redisReply *info, struct err *err) {
    switch (what) {
    case SERVER:
        return redis_session_judge_server(opened, info, err);
    case ROLE:
        return redis_session_judge_role(opened, info, err);
    default:
        return redis_session_judge_memory(info);
    }
}

/* ---- the commands --------------------------------------------------------------------------- */

static void redis_session_ask(struct opened *opened, enum opening what, const struct slice *args,
                              size_t count) {
    redis_command_append(&opened->link->out, args, count);
    opened->asked[opened->count++] = what;
}

static void redis_session_ask_all(struct opened *opened) {
    const struct redis_address *address = opened->address;
    const struct slice server[] = {slice_of("INFO"), slice_of("server")};
    const struct slice role[] = {slice_of("INFO"), slice_of("replication")};
    const struct slice memory[] = {slice_of("INFO"), slice_of("memory")};
    if (address->password) {
        redis_command_append_auth(&opened->link->out, address->user, address->password);
        opened->asked[opened->count++] = AUTH;
    }
    if (address->primary) {
        redis_session_ask(opened, ROLE, role, 2);
    }
    redis_session_ask(opened, SERVER, server, 2);
    if (opened->session->warns) {
        redis_session_ask(opened, MEMORY, memory, 2);
    }
    if (address->db > 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", address->db);
        const struct slice select[] = {slice_of("SELECT"), slice_of(number)};
        redis_session_ask(opened, SELECT, select, 2);
    }
}

/* Without the right to INFO, or behind a proxy without it, the session is opened as well. */
static bool redis_session_take(void *context, size_t index, const redisReply *reply,
                               struct err *err) {
    struct opened *opened = context;
    enum opening what = opened->asked[index];
    bool is_info = what != AUTH && what != SELECT;
    if (is_info && reply->type == REDIS_REPLY_STRING) {
        return redis_session_judge(opened, what, reply, err);
    }
    if (is_info || reply->type != REDIS_REPLY_ERROR) {
        return true;
    }
    opened->session->refused = true;
    opened->link->reason = "Redis refuses the login or the database";
    return err_set(err, ERR_UNAVAILABLE, "Redis refuses the session: %s", reply->str);
}

bool redis_session_open(struct redis_session *session, struct redis_link *link,
                        struct redis_address *address, int64_t deadline_us, struct err *err) {
    struct opened opened = {.session = session, .link = link, .address = address};
    session->refused = session->unfit = false;
    session->changes = redis_server_changes(session->server);
    if ((address->primary && !redis_sentinel_find(link, address, &session->sentinel,
                                                  &session->unfit, deadline_us, err)) ||
        !redis_link_open(link, address, deadline_us, err)) {
        return false;
    }
    redis_session_ask_all(&opened);
    return redis_link_exchange(link, opened.count, deadline_us, redis_session_take, &opened, err);
}
