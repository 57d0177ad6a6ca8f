/* redis: pipelines, deadlines, and no reply is taken for another command. Needs REDIS_TEST_URL. */
#include "bindings/redis.h"

#include "base/buffer.h"
#include "proxy.h"
#include "redis_client.h"
#include "test.h"

static struct err err;

/* ---- URLs --------------------------------------------------------------------------------- */

static void urls_are_parsed(void) {
    static const struct {
        const char *url, *host, *user, *password;
        int port, db;
    } table[] = {
        {"redis://h", "h", NULL, NULL, 6379, 0},
        {"redis://h/", "h", NULL, NULL, 6379, 0},
        {"redis://h:1/2", "h", NULL, NULL, 1, 2},
        {"redis://:p@h", "h", "", "p", 6379, 0},
        {"redis://u:p@h:65535/15", "h", "u", "p", 65535, 15},
        {"redis://u%3a:p%40%2F%25@h", "h", "u:", "p@/%", 6379, 0},
        {"redis://u:a@b:c/d@h:7", "h", "u", "a@b:c/d", 7, 0},
        {"redis://u:%zz%4@h", "h", "u", "%zz%4", 6379, 0},
        {"redis://u:%\x14\x11@h", "h", "u", "%\x14\x11", 6379, 0},
        {"redis://:@h", "h", "", "", 6379, 0},
        {"rediss://u:p@h:6380/1", "h", "u", "p", 6380, 1},
        {"redis://[::1]:6380/1", "::1", NULL, NULL, 6380, 1},
        {"redis://[fe80::1%eth0]", "fe80::1%eth0", NULL, NULL, 6379, 0},
        {"redis://redis.svc.cluster.local:6379/0", "redis.svc.cluster.local", NULL, NULL, 6379, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct redis_address address;
        if (!redis_url_parse(table[i].url, &address, &err)) {
            TEST_FAIL("refused %s", table[i].url);
            continue;
        }
        CHECK_TEXT(address.host, table[i].host);
        CHECK_INT(address.port, table[i].port);
        CHECK_INT(address.db, table[i].db);
        CHECK_INT(address.tls, strncmp(table[i].url, "rediss", 6) == 0);
        CHECK_INT(address.password != NULL, table[i].password != NULL);
        if (table[i].password && address.password) {
            CHECK_TEXT(address.user, table[i].user);
            CHECK_TEXT(address.password, table[i].password);
        }
        redis_address_free(&address);
    }
}

static void other_urls_are_refused_without_their_text(void) {
    static const char *const bad[] = {
        "",
        "s3cr3t",
        "redis://",
        "redis:///0",
        "redis://:s3cr3t@",
        "redis://s3cr3t@h",
        "redisss://:s3cr3t@h",
        "rediss:/:s3cr3t@h",
        "unix:///tmp/s3cr3t",
        "redis://:s3cr3t@h:",
        "redis://:s3cr3t@h:65536",
        "redis://:s3cr3t@h:6379x",
        "redis://:s3cr3t@h:-1",
        "redis://:s3cr3t@h/x",
        "redis://:s3cr3t@h/1/2",
        "redis://:s3cr3t@h?db=1",
        "redis://:s3cr3t@h/0?timeout=5",
        "redis://:s3cr3t@h#x",
        "redis://:s3cr3t@[::1",
        "redis://:s3cr3t@[]",
        "redis://:s3cr3t@[::1]x",
        "redis://:s3cr3t@h x",
        "REDIS://:s3cr3t@h",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct redis_address address;
        if (redis_url_parse(bad[i], &address, &err)) {
            TEST_FAIL("accepted %s", bad[i]);
            redis_address_free(&address);
        }
        CHECK_INT(err.kind, ERR_INPUT);
        CHECK(!strstr(err.text, "s3cr3t"));
    }
    CHECK(!redis_create(NULL, 100, &err));
}

/* ---- exchanges ---------------------------------------------------------------------------- */

struct replies {
    size_t count;
    size_t bytes;
    char last[64];
    int last_type;
};

static void note(void *context, size_t index, const redisReply *reply) {
    struct replies *replies = context;
    CHECK_INT(index, replies->count);
    replies->count++;
    replies->last_type = reply->type;
    replies->last[0] = '\0';
    if (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS ||
        reply->type == REDIS_REPLY_ERROR) {
        replies->bytes += reply->len;
        snprintf(replies->last, sizeof replies->last, "%.*s",
                 (int)(reply->len < 60 ? reply->len : 60), reply->str);
    } else if (reply->type == REDIS_REPLY_INTEGER) {
        snprintf(replies->last, sizeof replies->last, "%lld", reply->integer);
    }
}

#define APPEND(redis, ...)                                                                         \
    do {                                                                                           \
        struct slice args_[] = {__VA_ARGS__};                                                      \
        CHECK(redis_append((redis), args_, sizeof args_ / sizeof *args_, &err));                   \
    } while (0)
#define TEXT(text) slice_of(text)

/* ECHO of a word: its reply can only answer itself. */
static bool echoes(struct redis *redis, const char *word) {
    struct replies replies = {0};
    APPEND(redis, TEXT("ECHO"), TEXT(word));
    return redis_run(redis, note, &replies, &err) && strcmp(replies.last, word) == 0;
}

static void replies_come_in_order(void) {
    struct redis *redis = create(test_url("REDIS_TEST_URL"), 5000);
    struct replies replies = {0};
    CHECK_OK(redis_run(redis, note, &replies, &err), &err); /* nothing is queued */
    APPEND(redis, TEXT("SET"), TEXT("test:redis"), TEXT("v"));
    APPEND(redis, TEXT("INCR"), TEXT("test:redis"));
    APPEND(redis, TEXT("GET"), TEXT("test:redis"));
    CHECK_OK(redis_run(redis, note, &replies, &err), &err);
    CHECK_INT(replies.count, 3);
    CHECK_TEXT(replies.last, "v"); /* the error of INCR is a reply, the connection stays */
    CHECK(redis_connected(redis));
    CHECK(echoes(redis, "next"));
    CHECK(!redis_append(redis, NULL, 0, &err));
    redis_destroy(redis);
}

static void arguments_may_hold_any_byte(void) {
    struct redis *redis = create(test_url("REDIS_TEST_URL"), 5000);
    struct replies replies = {0};
    struct slice key = {"test:\0\r\n$3", 10}, value = {"\0\xff\r\n*1\r\n", 8};
    APPEND(redis, TEXT("SET"), key, value, TEXT("EX"), TEXT("60"));
    APPEND(redis, TEXT("STRLEN"), key);
    APPEND(redis, TEXT("SET"), TEXT("test:empty"), ((struct slice){"", 0}), TEXT("EX"), TEXT("60"));
    APPEND(redis, TEXT("STRLEN"), key);
    CHECK_OK(redis_run(redis, note, &replies, &err), &err);
    CHECK_TEXT(replies.last, "8");
    redis_destroy(redis);
}

/* 20 MB of commands whose replies are 20 MB: a client that only writes would wait for ever. */
static void big_pipelines_go_both_ways(void) {
    struct redis *redis = create(test_url("REDIS_TEST_URL"), 20000);
    struct replies replies = {0};
    char *word = malloc(20000);
    memset(word, 'w', 20000);
    for (int i = 0; i < 1000; i++) {
        APPEND(redis, TEXT("ECHO"), ((struct slice){word, 20000}));
    }
    CHECK_OK(redis_run(redis, note, &replies, &err), &err);
    CHECK_INT(replies.count, 1000);
    CHECK_INT(replies.bytes, 20000000);
    free(word);
    redis_destroy(redis);
}

/* ---- sessions ----------------------------------------------------------------------------- */

static void through(char url[128], const char *user_and_password, const char *rest) {
    snprintf(url, 128, "redis://%s127.0.0.1:%d%s", user_and_password,
             proxy_url_port(test_url("REDIS_TEST_URL")), rest);
}

static void the_session_is_set_up_first(void) {
    char url[128];
    struct redis *admin = create(test_url("REDIS_TEST_URL"), 5000);
    struct replies replies = {0};
    APPEND(admin, TEXT("ACL"), TEXT("SETUSER"), TEXT("tester"), TEXT("reset"), TEXT("on"),
           TEXT(">p@ss w"), TEXT("~*"), TEXT("+@all"));
    APPEND(admin, TEXT("SELECT"), TEXT("3"));
    APPEND(admin, TEXT("SET"), TEXT("test:db"), TEXT("three"), TEXT("EX"), TEXT("60"));
    CHECK_OK(redis_run(admin, note, &replies, &err), &err);
    through(url, "tester:p%40ss%20w@", "/3");
    struct redis *redis = create(url, 5000);
    replies = (struct replies){0};
    APPEND(redis, TEXT("ACL"), TEXT("WHOAMI"));
    CHECK_OK(redis_run(redis, note, &replies, &err), &err);
    CHECK_TEXT(replies.last, "tester");
    replies = (struct replies){0};
    APPEND(redis, TEXT("GET"), TEXT("test:db"));
    CHECK_OK(redis_run(redis, note, &replies, &err), &err);
    CHECK_TEXT(replies.last, "three");
    redis_destroy(redis);
    APPEND(admin, TEXT("ACL"), TEXT("DELUSER"), TEXT("tester"));
    CHECK(redis_run(admin, NULL, NULL, &err));
    redis_destroy(admin);
}

static void a_session_that_is_refused_runs_nothing(void) {
    static const char *const logins[] = {"tester:s3cr3t@", ":s3cr3t@"};
    for (size_t i = 0; i < 2; i++) {
        char url[128];
        through(url, logins[i], "/0");
        struct redis *redis = create(url, 5000);
        struct replies replies = {0};
        APPEND(redis, TEXT("ECHO"), TEXT("never heard"));
        CHECK(!redis_run(redis, note, &replies, &err));
        CHECK_INT(err.kind, ERR_UNAVAILABLE);
        CHECK_HAS(err.text, "Redis refuses the session: ");
        CHECK(!strstr(err.text, "s3cr3t"));
        CHECK_INT(replies.count, 0);
        CHECK(!redis_connected(redis));
        redis_destroy(redis);
    }
    char url[128];
    through(url, "", "/9999");
    struct redis *redis = create(url, 5000);
    CHECK(!echoes(redis, "in no database"));
    redis_destroy(redis);
}

/* ---- faults ------------------------------------------------------------------------------- */

static struct proxy proxy;

static struct redis *create_behind_proxy(int timeout_ms) {
    char url[64];
    proxy_start(&proxy, proxy_url_port(test_url("REDIS_TEST_URL")));
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", proxy.port);
    return create(url, timeout_ms);
}

static void wait_out_rest(struct redis *redis) {
    WAIT_UNTIL(!redis_resting(redis));
}

static void a_late_reply_is_not_taken_for_the_next_command(void) {
    struct redis *redis = create_behind_proxy(150);
    CHECK(echoes(redis, "first"));
    proxy.mode = PROXY_FROZEN;
    CHECK(!echoes(redis, "late"));
    CHECK_INT(err.kind, ERR_TIMEOUT);
    CHECK(!redis_connected(redis));
    proxy.mode = PROXY_PASS;
    wait_out_rest(redis);
    for (int i = 0; i < 20; i++) {
        char word[16];
        snprintf(word, sizeof word, "word %d", i);
        CHECK_OK(echoes(redis, word), &err);
    }
    redis_destroy(redis);
    proxy_stop(&proxy);
}

static void a_silent_server_costs_the_deadline(void) {
    proxy_start(&proxy, 0);
    char url[64];
    snprintf(url, sizeof url, "redis://:p@127.0.0.1:%d/1", proxy.port);
    struct redis *redis = create(url, 100);
    CHECK(!echoes(redis, "anybody"));
    CHECK_INT(err.kind, ERR_TIMEOUT);
    redis_destroy(redis);
    proxy_stop(&proxy);
}

static void the_breaker_fails_at_once_and_lets_one_attempt_through(void) {
    struct redis *redis = create_behind_proxy(1000);
    const int first_ms = redis_next_rest_ms(redis);
    proxy.mode = PROXY_CUT;
    CHECK(!echoes(redis, "cut"));
    CHECK(redis_resting(redis));
    for (int i = 0; i < 1000; i++) {
        if (redis_resting(redis) && echoes(redis, "resting")) {
            TEST_FAIL("answered while it rests");
        }
    }
    CHECK_HAS(err.text, "Redis");
    int before = proxy.accepted;
    for (int round = 1; round <= 3; round++) { /* each rest is twice as long */
        CHECK_INT(redis_next_rest_ms(redis), first_ms << round);
        wait_out_rest(redis);
        CHECK(!echoes(redis, "cut again"));
    }
    wait_out_rest(redis);
    CHECK_INT(proxy.accepted - before, 3);
    proxy.mode = PROXY_PASS;
    CHECK_OK(echoes(redis, "back"), &err);
    CHECK(!redis_resting(redis));
    CHECK_INT(redis_next_rest_ms(redis), first_ms);
    redis_destroy(redis);
    proxy_stop(&proxy);
}

static void a_pipeline_cut_in_the_middle_fails_whole(void) {
    struct redis *redis = create_behind_proxy(2000);
    for (int round = 0; round < 5; round++) {
        proxy.mode = PROXY_PASS;
        wait_out_rest(redis);
        CHECK_OK(echoes(redis, "whole"), &err);
        struct replies replies = {0};
        char *word = calloc(1, 100000);
        for (int i = 0; i < 50; i++) {
            APPEND(redis, TEXT("ECHO"), ((struct slice){word, 100000}));
        }
        proxy.cut_after_request = true;
        CHECK(!redis_run(redis, note, &replies, &err));
        CHECK(replies.count < 50);
        CHECK(!redis_connected(redis));
        free(word);
    }
    redis_destroy(redis);
    proxy_stop(&proxy);
}

/* While Redis is silent it is pending, at once; then it is done, or too late. */
static void commands_under_way_block_nobody(void) {
    struct redis *redis = create_behind_proxy(1000);
    CHECK(echoes(redis, "first"));
    CHECK_INT(redis_socket(redis), -1);
    CHECK_INT(redis_progress(redis, &err), REDIS_DONE);
    struct replies replies = {0};
    proxy.mode = PROXY_FROZEN;
    APPEND(redis, TEXT("ECHO"), TEXT("one"));
    APPEND(redis, TEXT("ECHO"), TEXT("two"));
    CHECK_OK(redis_begin(redis, note, &replies, &err), &err);
    CHECK_INT(redis_progress(redis, &err), REDIS_PENDING);
    CHECK(redis_socket(redis) >= 0 && redis_poll_events(redis) == POLLIN);
    APPEND(redis, TEXT("ECHO"), TEXT("three"));
    CHECK(!redis_begin(redis, note, &replies, &err)); /* not yet */
    proxy.mode = PROXY_PASS;
    WAIT_UNTIL(redis_progress(redis, &err) == REDIS_DONE);
    CHECK_INT(replies.count, 2);
    CHECK_TEXT(replies.last, "two");
    replies = (struct replies){0};
    CHECK_OK(redis_begin(redis, note, &replies, &err) && redis_finish(redis, &err), &err);
    CHECK_TEXT(replies.last, "three");
    proxy.mode = PROXY_FROZEN;
    APPEND(redis, TEXT("ECHO"), TEXT("late"));
    CHECK_OK(redis_begin(redis, note, &replies, &err), &err);
    WAIT_UNTIL(redis_progress(redis, &err) != REDIS_PENDING);
    CHECK_INT(err.kind, ERR_TIMEOUT);
    CHECK(!redis_connected(redis) && redis_resting(redis) && redis_socket(redis) == -1);
    redis_destroy(redis);
    proxy_stop(&proxy);
}

static void nobody_listens(void) {
    struct redis *redis = create("redis://127.0.0.1:1", 1000);
    CHECK(!echoes(redis, "anybody"));
    CHECK_INT(err.kind, ERR_UNAVAILABLE);
    CHECK_HAS(err.text, "cannot connect to Redis: ");
    redis_destroy(redis);
    redis = create("redis://host.invalid", 1000);
    CHECK(!echoes(redis, "anybody"));
    CHECK_INT(err.kind, ERR_UNAVAILABLE);
    redis_destroy(redis);
}

static const struct test_case cases[] = {
    {"URLs are parsed", urls_are_parsed},
    {"other URLs are refused without their text", other_urls_are_refused_without_their_text},
    {"replies come in order", replies_come_in_order},
    {"arguments may hold any byte", arguments_may_hold_any_byte},
    {"big pipelines go both ways", big_pipelines_go_both_ways},
    {"the session is set up first", the_session_is_set_up_first},
    {"a session that is refused runs nothing", a_session_that_is_refused_runs_nothing},
    {"a late reply is not taken for the next command",
     a_late_reply_is_not_taken_for_the_next_command},
    {"a silent server costs the deadline", a_silent_server_costs_the_deadline},
    {"the breaker fails at once and lets one attempt through",
     the_breaker_fails_at_once_and_lets_one_attempt_through},
    {"a pipeline cut in the middle fails whole", a_pipeline_cut_in_the_middle_fails_whole},
    {"commands under way block nobody", commands_under_way_block_nobody},
    {"nobody listens", nobody_listens},
};

TEST_MAIN(cases)
