/* redis: which servers a connection is opened with, how it follows a failover, and what it asks
 * Sentinels. The servers are fakes; spec/integration/test_redis_failover.py has real ones. */
#include "bindings/redis.h"
#include "bindings/redis_server.h"
#include "fake_redis.h"
#include "redis_client.h"

static struct err err;

static void keep(void *context, size_t index, const redisReply *reply) {
    (void)index;
    snprintf(context, 64, "%.60s", reply->str ? reply->str : "");
}

/* The reply to a word; NULL: err says why there is none. */
static const char *ask(struct redis *redis, const char *word) {
    static char text[64];
    struct slice args[] = {slice_of(word)};
    text[0] = '\0';
    return redis_append(redis, args, 1, &err) && redis_run(redis, keep, text, &err) ? text : NULL;
}

static void url_of(char url[64], const struct fake_redis *fake) {
    snprintf(url, 64, "redis://127.0.0.1:%d", fake->port);
}

/* The RESP of a bulk string. */
static const char *bulk(const char *text) {
    static char replies[8][512];
    static int next;
    char *reply = replies[next++ % 8];
    snprintf(reply, sizeof replies[0], "$%zu\r\n%s\r\n", strlen(text), text);
    return reply;
}

#define INFO(fields)                                                                               \
    { "INFO server ", bulk("# Server\r\nredis_version:7.0.15\r\n" fields "\r\n") }

/* ---- which servers ------------------------------------------------------------------------- */

static void a_server_that_never_can_be_used_is_refused_with_what_to_do(void) {
    const struct {
        struct fake_reply info;
        const char *says, *reason;
    } table[] = {
        {INFO("redis_mode:cluster\r\nrun_id:a1"), "must name a primary outside a cluster",
         "Cluster"},
        {INFO("server_mode:cluster\r\nserver_name:valkey"), "must name a primary outside a cluster",
         "Cluster"},
        {INFO("redis_mode:sentinel\r\nrun_id:a1"), "redis-sentinel://", "Sentinel"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct fake_redis fake;
        char url[64];
        fake_redis_start(&fake, (struct fake_reply[]){table[i].info, {"PING ", FAKE_PONG}, {0}});
        url_of(url, &fake);
        CHECK(!redis_check_server(url, 5000, &err));
        CHECK_INT(err.kind, ERR_INPUT);
        CHECK_HAS(err.text, table[i].says);
        struct redis *redis = create(url, 5000);
        CHECK(!ask(redis, "PING")); /* nor after a reconnect */
        CHECK_INT(err.kind, ERR_UNAVAILABLE);
        CHECK(redis_resting(redis));
        CHECK_HAS(redis_plain_reason(redis, &err), table[i].reason);
        CHECK(!strstr(fake.heard, "PING"));
        redis_destroy(redis);
        fake_redis_stop(&fake);
    }
}

/* Valkey, KeyDB, Dragonfly, a proxy, a user without the right to INFO. */
static void any_other_server_is_used(void) {
    const struct fake_reply table[] = {
        INFO("redis_mode:standalone\r\nrun_id:a1"),
        INFO("server_name:valkey\r\nvalkey_version:8.0.1\r\nserver_mode:standalone\r\nrun_id:a1"),
        INFO("dragonfly_version:df-v1.2"),
        {"INFO server ", "-ERR unknown command 'INFO'\r\n"},
        {"INFO server ", "-NOPERM this user has no permissions to run the 'info' command\r\n"},
        {"INFO server ", "$0\r\n\r\n"},
        {"INFO server ", "$-1\r\n"},
        {"INFO server ", "*0\r\n"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct fake_redis fake;
        char url[64];
        fake_redis_start(&fake, (struct fake_reply[]){table[i], {"PING ", FAKE_PONG}, {0}});
        url_of(url, &fake);
        CHECK_OK(redis_check_server(url, 5000, &err), &err);
        struct redis *redis = create(url, 5000);
        CHECK_TEXT(ask(redis, "PING"), "PONG");
        redis_destroy(redis);
        fake_redis_stop(&fake);
    }
    CHECK_OK(redis_check_server("redis://127.0.0.1:1", 5000, &err), &err); /* nobody is there */
    CHECK(!redis_check_server("redis://", 5000, &err));
}

/* ---- a server that takes over --------------------------------------------------------------- */

static void a_replica_s_refusal_makes_the_next_exchange_connect_again(void) {
    static const char *const refusals[] = {
        "-READONLY You can't write against a read only replica.\r\n",
        "-ERR user script: -READONLY You can't write against a read only replica.\r\n",
        "-MASTERDOWN Link with MASTER is down\r\n",
    };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct fake_redis fake;
        char url[64];
        fake_redis_start(&fake, (struct fake_reply[]){{"INCR ", refusals[i]}, {0}});
        url_of(url, &fake);
        struct redis *redis = create(url, 5000);
        CHECK_HAS(ask(redis, "INCR"), i < 2 ? "READONLY" : "MASTERDOWN");
        CHECK(!redis_connected(redis) && redis_resting(redis));
        WAIT_UNTIL(!redis_resting(redis));
        CHECK_TEXT(ask(redis, "GET"), "OK");
        CHECK_INT(fake.accepted, 2);
        CHECK(redis_connected(redis) && !redis_resting(redis));
        redis_destroy(redis);
        fake_redis_stop(&fake);
    }
}

/* The name of the first server leads to the second one from then on. */
static void a_connection_that_finds_another_server_takes_the_others_along(void) {
    struct fake_redis first, second;
    struct proxy name;
    char url[64];
    fake_redis_start(&first,
                     (struct fake_reply[]){INFO("run_id:first"), {"WHO ", "+first\r\n"}, {0}});
    fake_redis_start(&second,
                     (struct fake_reply[]){INFO("run_id:second"), {"WHO ", "+second\r\n"}, {0}});
    proxy_start(&name, first.port);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", name.port);
    struct redis *old = create(url, 5000), *listener = create(url, 5000), *new = create(url, 5000);
    CHECK_TEXT(ask(old, "WHO"), "first");
    CHECK_TEXT(ask(listener, "WHO"), "first");
    CHECK(redis_is_current(old));
    name.target_port = second.port; /* the connections to the first one stay */
    CHECK_TEXT(ask(new, "WHO"), "second");
    CHECK(!redis_is_current(old) && redis_is_current(new));
    CHECK(!redis_receive(listener, keep, NULL, &err));
    CHECK_HAS(err.text, "another server of Redis has taken over");
    CHECK_TEXT(ask(old, "WHO"), "second");
    CHECK(redis_is_current(old) && redis_is_current(new));
    name.target_port = first.port; /* both answer under one name */
    redis_disconnect(old);
    CHECK(!ask(old, "WHO"));
    CHECK_HAS(err.text, "is another server than a moment ago");
    CHECK_TEXT(ask(new, "WHO"), "second");
    redis_destroy(old);
    redis_destroy(listener);
    redis_destroy(new);
    proxy_stop(&name);
    fake_redis_stop(&first);
    fake_redis_stop(&second);
}

/* ---- Sentinels ------------------------------------------------------------------------------ */

static void urls_of_sentinels_are_parsed(void) {
    struct redis_address address;
    CHECK_OK(
        redis_url_parse("rediss-sentinel://u:p%2F@a,b:1,[::1]:2/my.master-1/3", &address, &err),
        &err);
    CHECK(address.tls && !address.host);
    CHECK_TEXT(address.user, "u");
    CHECK_TEXT(address.password, "p/");
    CHECK_TEXT(address.primary, "my.master-1");
    CHECK_INT(address.db, 3);
    CHECK_INT(address.sentinel_count, 3);
    CHECK_TEXT(address.sentinels[0].host, "a");
    CHECK_INT(address.sentinels[0].port, 26379);
    CHECK_INT(address.sentinels[1].port, 1);
    CHECK_TEXT(address.sentinels[2].host, "::1");
    redis_address_free(&address);
    static const char *const bad[] = {
        "redis-sentinel://a",     "redis-sentinel://a/",
        "redis-sentinel:///m",    "redis-sentinel://a,/m",
        "redis-sentinel://,a/m",  "redis-sentinel://a,,b/m",
        "redis-sentinel://a:x/m", "redis-sentinel://a/m?",
        "redis-sentinel://a/m/x", "redis-sentinel://u@a/m",
        "redis://a,b/0",          "redis-sentinel://a /m",
        "redis-sentinels://a/m",  "redis-sentinel://a/m/1/2",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (redis_url_parse(bad[i], &address, &err)) {
            TEST_FAIL("accepted %s", bad[i]);
            redis_address_free(&address);
        }
    }
    CHECK(redis_url_same_place("redis-sentinel://x:y@a,b:1/m", "redis-sentinel://a,b:1/m"));
    CHECK(!redis_url_same_place("redis-sentinel://a,b:1/m", "redis-sentinel://a,b:2/m"));
    CHECK(!redis_url_same_place("redis-sentinel://a/m", "redis-sentinel://a/n"));
    CHECK(!redis_url_same_place("redis-sentinel://a:6379/m", "redis://a:6379"));
}

/* The reply of a Sentinel that names the server. */
static const char *names(const struct fake_redis *fake) {
    static char replies[4][64];
    static int next;
    char port[8], *reply = replies[next++ % 4];
    snprintf(port, sizeof port, "%d", fake->port);
    snprintf(reply, sizeof replies[0], "*2\r\n$9\r\n127.0.0.1\r\n$%zu\r\n%s\r\n", strlen(port),
             port);
    return reply;
}

static const char PRIMARY_INFO[] = "$28\r\n# Replication\r\nrole:master\r\n\r\n";
static const char REPLICA_INFO[] = "$27\r\n# Replication\r\nrole:slave\r\n\r\n";

static void the_primary_is_the_one_that_a_sentinel_names(void) {
    struct fake_redis redis, sentinel;
    struct proxy silent;
    char url[160];
    fake_redis_start(&redis, (struct fake_reply[]){INFO("run_id:a1"),
                                                   {"INFO replication ", PRIMARY_INFO},
                                                   {"PING ", FAKE_PONG},
                                                   {0}});
    fake_redis_start(&sentinel, (struct fake_reply[]){{"SENTINEL ", names(&redis)}, {0}});
    proxy_start(&silent, 0);
    snprintf(url, sizeof url, "redis-sentinel://u:pw@127.0.0.1:1,127.0.0.1:%d,127.0.0.1:%d/main/2",
             silent.port, sentinel.port);
    struct redis *client = create(url, 1000);
    CHECK_TEXT(ask(client, "PING"), "PONG"); /* one is not there, one does not reply */
    CHECK_TEXT(redis.heard, "AUTH u pw \nINFO replication \nINFO server \nSELECT 2 \nPING \n");
    CHECK_TEXT(sentinel.heard, "SENTINEL GET-MASTER-ADDR-BY-NAME main \n");
    redis_disconnect(client);
    int asked = silent.accepted;
    CHECK_TEXT(ask(client, "PING"), "PONG"); /* the one that replied is asked first */
    CHECK_INT(silent.accepted, asked);
    WAIT_UNTIL(sentinel.connections == 0);
    redis_destroy(client);
    proxy_stop(&silent);
    fake_redis_stop(&sentinel);
    fake_redis_stop(&redis);
}

static void a_replica_that_a_sentinel_names_moves_no_connection(void) {
    struct fake_redis primary, replica, right, wrong;
    struct proxy sentinel;
    char url[96];
    fake_redis_start(
        &primary,
        (struct fake_reply[]){INFO("run_id:primary"), {"INFO replication ", PRIMARY_INFO}, {0}});
    fake_redis_start(
        &replica,
        (struct fake_reply[]){INFO("run_id:replica"), {"INFO replication ", REPLICA_INFO}, {0}});
    fake_redis_start(&right, (struct fake_reply[]){{"SENTINEL ", names(&primary)}, {0}});
    fake_redis_start(&wrong, (struct fake_reply[]){{"SENTINEL ", names(&replica)}, {0}});
    proxy_start(&sentinel, right.port);
    snprintf(url, sizeof url, "redis-sentinel://127.0.0.1:%d/main", sentinel.port);
    struct redis *old = create(url, 1000), *new = create(url, 1000);
    CHECK_TEXT(ask(old, "GET"), "OK");
    sentinel.target_port = wrong.port;
    CHECK(!ask(new, "GET"));
    CHECK_HAS(err.text, "is a replica");
    CHECK(redis_is_current(old));
    redis_destroy(old);
    redis_destroy(new);
    proxy_stop(&sentinel);
    fake_redis_stop(&wrong);
    fake_redis_stop(&right);
    fake_redis_stop(&replica);
    fake_redis_stop(&primary);
}

/* Whatever hinders the session then, the URL leads to a primary. */
static void a_server_that_is_no_sentinel_beside_one_is_passed_over(void) {
    struct fake_redis none, sentinel, replica;
    char url[96];
    fake_redis_start(&none,
                     (struct fake_reply[]){
                         {"SENTINEL ", "-ERR unknown command 'SENTINEL', with args\r\n"}, {0}});
    fake_redis_start(&replica, (struct fake_reply[]){
                                   INFO("run_id:a1"), {"INFO replication ", REPLICA_INFO}, {0}});
    fake_redis_start(&sentinel, (struct fake_reply[]){{"SENTINEL ", names(&replica)}, {0}});
    snprintf(url, sizeof url, "redis-sentinel://127.0.0.1:%d,127.0.0.1:%d/main", none.port,
             sentinel.port);
    CHECK_OK(redis_check_server(url, 1000, &err), &err);
    fake_redis_stop(&sentinel);
    fake_redis_stop(&replica);
    fake_redis_stop(&none);
}

static void what_a_sentinel_says_instead_is_reported(void) {
    struct fake_redis replica;
    fake_redis_start(&replica, (struct fake_reply[]){
                                   INFO("run_id:a1"), {"INFO replication ", REPLICA_INFO}, {0}});
    const struct {
        const char *reply, *says, *reason;
        bool unfit;
    } table[] = {
        {"*-1\r\n", "does not watch the primary main", "do not know the primary", false},
        {"-NOAUTH Authentication required.\r\n", "see redis.sentinel_password: NOAUTH",
         "refuses the login", false},
        {"-ERR unknown command 'SENTINEL', with args\r\n", "name Sentinels, or use redis://",
         "no Sentinel", true},
        {names(&replica), "is a replica, and the Sentinels name it as primary",
         "the failover has not ended", false},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct fake_redis sentinel;
        char url[96];
        fake_redis_start(&sentinel, (struct fake_reply[]){{"SENTINEL ", table[i].reply}, {0}});
        snprintf(url, sizeof url, "redis-sentinel://127.0.0.1:%d/main", sentinel.port);
        struct redis *client = create(url, 1000);
        CHECK(!ask(client, "PING"));
        CHECK_INT(err.kind, ERR_UNAVAILABLE);
        CHECK_HAS(err.text, table[i].says);
        CHECK_HAS(redis_plain_reason(client, &err), table[i].reason);
        CHECK_INT(redis_check_server(url, 1000, &err), !table[i].unfit);
        redis_destroy(client);
        fake_redis_stop(&sentinel);
    }
    fake_redis_stop(&replica);
}

static const struct test_case cases[] = {
    {"a server that never can be used is refused with what to do",
     a_server_that_never_can_be_used_is_refused_with_what_to_do},
    {"any other server is used", any_other_server_is_used},
    {"a replica's refusal makes the next exchange connect again",
     a_replica_s_refusal_makes_the_next_exchange_connect_again},
    {"a connection that finds another server takes the others along",
     a_connection_that_finds_another_server_takes_the_others_along},
    {"URLs of Sentinels are parsed", urls_of_sentinels_are_parsed},
    {"the primary is the one that a Sentinel names", the_primary_is_the_one_that_a_sentinel_names},
    {"a replica that a Sentinel names moves no connection",
     a_replica_that_a_sentinel_names_moves_no_connection},
    {"a server that is no Sentinel beside one is passed over",
     a_server_that_is_no_sentinel_beside_one_is_passed_over},
    {"what a Sentinel says instead is reported", what_a_sentinel_says_instead_is_reported},
};

TEST_MAIN(cases)
