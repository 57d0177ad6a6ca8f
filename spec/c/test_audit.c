/* audit: the reaction of a process to unannounced commits, step by step, with counts and times of
 * the test. Needs REDIS_TEST_URL. */
#include "pipeline/announcement_audit.h"
#include "base/clock.h"
#include "caches.h"

#define PARTITION "group/topic/0"
#define START_US 1000000
#define TEST_TIME_US 10000000 /* more than a test takes */

static struct config config;

static struct audit *audit_of(struct cache *cache) {
    config.redis.url = url;
    config.redis.timeout_ms = 2000;
    config.postgres.url = (char *)"postgresql://nobody@127.0.0.1:1/none";
    struct audit *audit = audit_create(&config, cache, &err);
    CHECK_OK(audit != NULL, &err);
    return audit;
}

/* A look at a time: the partition's commits have counted so many events. */
static void look(struct audit *audit, uint64_t counted, int64_t now_us) {
    audit_take(audit, VIEW, &(struct cache_position){.name = PARTITION, .counted = counted}, 1);
    audit_judge(audit, START_US + now_us);
}

static void note_integer(void *context, size_t index, const redisReply *reply) {
    (void)index;
    if (reply->type == REDIS_REPLY_INTEGER) {
        *(long long *)context = reply->integer;
    }
}

static const char *announced_position; /* of the next commit; NULL: nobody reads from replicas */

/* A commit that has counted the events from `before` to `after`; whether none before it is missing.
 */
static bool announce_commit(struct cache *cache, uint64_t tag, uint64_t before, uint64_t after) {
    struct redis *redis = redis_create(url, 5000, &err);
    struct cache_position position = {.name = PARTITION, .before = before, .counted = after};
    struct cache_announcement announcement = {.view = VIEW,
                                              .tags = &tag,
                                              .tag_count = 1,
                                              .positions = &position,
                                              .position_count = 1,
                                              .position = announced_position};
    long long complete = -1;
    CHECK_OK(cache_append_announcement(cache, redis, &announcement, &err) &&
                 redis_run(redis, note_integer, &complete, &err),
             &err);
    redis_destroy(redis);
    CHECK(complete >= 0);
    return complete == 1;
}

static struct cache *a, *b;
static struct recipe recipe;

/* Two processes that keep an answer of tag 1; a commit of tag 2 was announced. */
static void begin_with_answers(void) {
    begin();
    a = start(url, 2000);
    b = start_beside(a);
    CHECK(announce_commit(a, 2, 0, 5));
    recipe = (struct recipe){.body = "kept", .tag = 1};
    get(a, "test:k", &recipe);
    settle(a);
    get(b, "test:k", &recipe);
    CHECK_TEXT(command("GET", "test:k", NULL), "kept");
}

static void end_caches(void) {
    cache_destroy(a);
    cache_destroy(b);
}

static void an_announced_commit_drops_nothing(void) {
    begin_with_answers();
    struct audit *audit = audit_of(a);
    int before = drops("unannounced");
    look(audit, 5, 0);
    look(audit, 5, 10 * AUDIT_INTERVAL_US);
    CHECK(announce_commit(b, 2, 5, 8));
    look(audit, 8, 20 * AUDIT_INTERVAL_US);
    CHECK(has(a, "test:k") && has(b, "test:k"));
    CHECK_INT(drops("unannounced") - before, 0);
    audit_destroy(audit);
    end_caches();
}

static void processes_share_an_audit_that_found_nothing(void) {
    begin_with_answers();
    struct audit *audit = audit_of(a), *other = audit_of(b);
    look(audit, 5, 0);
    look(other, 5, 0);
    CHECK(!audit_is_shared(other)); /* nobody said what he found */
    audit_share(audit, clock_monotonic_us() + TEST_TIME_US);
    CHECK(audit_is_shared(other));
    CHECK(!audit_is_shared(audit)); /* it is its own */
    audit_destroy(audit);
    audit_destroy(other);
    end_caches();
}

static void an_audit_that_found_or_took_too_long_is_not_shared(void) {
    begin_with_answers();
    struct audit *audit = audit_of(a), *other = audit_of(b);
    look(other, 5, 0);
    look(audit, 9, 0); /* a commit is not announced yet */
    audit_share(audit, clock_monotonic_us() + TEST_TIME_US);
    CHECK(!audit_is_shared(other));
    look(audit, 5, 0);
    audit_share(audit, clock_monotonic_us() - AUDIT_SHARED_MS * 1000);
    CHECK(!audit_is_shared(other));
    audit_share(audit, clock_monotonic_us() + TEST_TIME_US);
    CHECK(audit_is_shared(other));
    look(other, 9, 0);
    CHECK(!audit_is_shared(other)); /* it found something itself */
    audit_destroy(audit);
    audit_destroy(other);
    end_caches();
}

static long long ask_number(const char *one, const char *two, const char *three, const char *four) {
    struct slice args[] = {slice_of(one), slice_of(two), slice_of(three ? three : ""),
                           slice_of(four ? four : "")};
    struct redis *redis = redis_create(url, 5000, &err);
    long long number = -1;
    CHECK_OK(redis_append(redis, args,
                          four    ? 4
                          : three ? 3
                                  : 2,
                          &err) &&
                 redis_run(redis, note_integer, &number, &err),
             &err);
    redis_destroy(redis);
    return number;
}

static void an_audit_keeps_the_counts_of_an_idle_view(void) {
    char key[64];
    begin_with_answers();
    struct audit *audit = audit_of(a);
    snprintf(key, sizeof key, "ras:cache:announced:%016x", VIEW);
    look(audit, 5, 0);
    CHECK_INT(ask_number("EXPIRE", key, "100", NULL), 1);
    look(audit, 5, 3500 * 1000000LL);
    CHECK(ask_number("TTL", key, NULL, NULL) <= 100);
    look(audit, 5, 3700 * 1000000LL);
    CHECK(ask_number("TTL", key, NULL, NULL) > 100);
    audit_destroy(audit);
    end_caches();
}

static void a_late_announcement_drops_nothing_before_the_limit(void) {
    begin_with_answers();
    struct audit *audit = audit_of(a);
    look(audit, 9, 0);
    look(audit, 9, AUDIT_PATIENCE_US - 1);
    CHECK(announce_commit(b, 2, 5, 9));
    look(audit, 9, AUDIT_PATIENCE_US + 1);
    look(audit, 20, 3 * AUDIT_PATIENCE_US); /* the next commit */
    CHECK(has(a, "test:k") && has(b, "test:k"));
    audit_destroy(audit);
    end_caches();
}

static void consecutive_announcements_leave_no_gap(void) {
    begin_with_answers();
    struct audit *audit = audit_of(a);
    for (uint64_t i = 0; i < 10; i++) { /* each look sees a commit whose announcement is to come */
        look(audit, 6 + i, (int64_t)i * AUDIT_INTERVAL_US);
        CHECK(announce_commit(b, 2, 5 + i, 6 + i));
    }
    CHECK(has(a, "test:k") && has(b, "test:k"));
    audit_destroy(audit);
    end_caches();
}

static void an_unannounced_commit_drops_all_responses_within_a_second(void) {
    begin_with_answers();
    struct audit *audit = audit_of(a), *other = audit_of(b);
    int before = drops("unannounced");
    look(audit, 9, 0);
    look(other, 9, 0);
    CHECK(has(a, "test:k") && has(b, "test:k"));
    look(audit, 9, AUDIT_INTERVAL_US);
    CHECK(AUDIT_INTERVAL_US * 2 < 1000000); /* from the commit to the look that drops */
    CHECK(!has(a, "test:k"));
    WAIT_UNTIL(!has(b, "test:k")); /* b received the invalidation */
    struct recipe new = {.body = "new", .tag = 1};
    CHECK_TEXT(get(b, "test:k", &new), "new"); /* nor is it in Redis */
    look(other, 9, AUDIT_INTERVAL_US);
    look(audit, 9, 2 * AUDIT_INTERVAL_US);
    look(other, 9, 2 * AUDIT_INTERVAL_US);
    CHECK(has(b, "test:k")); /* once for all processes */
    CHECK_INT(drops("unannounced") - before, 1);
    CHECK(announce_commit(a, 2, 9, 11)); /* and the next one follows it */
    audit_destroy(audit);
    audit_destroy(other);
    end_caches();
}

/* What the audit of a process says of an announced count that Redis has lost. */
static void check_lost_count(struct audit *audit, const char *count) {
    char key[64];
    int unannounced = drops("unannounced"), restarted = drops("redis_restarted");
    snprintf(key, sizeof key, "ras:cache:announced:%016x", VIEW);
    if (count) {
        CHECK_INT(ask_number("HSET", key, PARTITION, count), 0);
    } else {
        CHECK_INT(ask_number("DEL", key, NULL, NULL), 1);
    }
    look(audit, 5, 10 * AUDIT_INTERVAL_US);
    look(audit, 5, 11 * AUDIT_INTERVAL_US);
    CHECK(!has(a, "test:k"));
    CHECK_INT(drops("redis_restarted") - restarted, 1);
    CHECK_INT(drops("unannounced") - unannounced, 0);
}

static void counts_that_redis_has_lost_are_no_unannounced_commits(void) {
    begin_with_answers();
    struct audit *audit = audit_of(a), *started_since = audit_of(b);
    look(audit, 5, 0);
    check_lost_count(audit, "3"); /* restarted from an old dump */
    look(audit, 5, AUDIT_INTERVAL_US);
    check_lost_count(audit, NULL);
    check_lost_count(started_since, NULL);
    int before = drops("unannounced");
    look(audit, 9, 20 * AUDIT_INTERVAL_US);
    look(audit, 9, 21 * AUDIT_INTERVAL_US);
    CHECK_INT(drops("unannounced") - before, 1); /* the next commit */
    audit_destroy(audit);
    audit_destroy(started_since);
    end_caches();
}

static void an_announcement_behind_a_gap_says_so_and_does_not_hide_it(void) {
    begin_with_answers();
    struct audit *audit = audit_of(a);
    CHECK(!announce_commit(b, 2, 9, 12)); /* 5 to 9 is missing */
    look(audit, 12, 0);
    look(audit, 12, AUDIT_INTERVAL_US);
    CHECK(!has(a, "test:k"));
    audit_destroy(audit);
    end_caches();
}

/* More tags than one command has: the last of them is refused where the first was. */
static void a_partial_announcement_does_not_count(void) {
    static uint64_t tags[1500];
    struct cache_position position = {.name = PARTITION, .before = 5, .counted = 6};
    struct cache_announcement announcement = {
        .view = VIEW, .tags = tags, .tag_count = 1500, .positions = &position, .position_count = 1};
    long long complete = -1;
    begin_with_answers();
    struct audit *audit = audit_of(a);
    command("SET", "ras:cache:recent", "not a set"); /* fails the first part ... */
    struct redis *redis = redis_create(url, 5000, &err);
    CHECK(cache_append_announcement(b, redis, &announcement, &err));
    CHECK(redis_run(redis, note_integer, &complete, &err));
    command("DEL", "ras:cache:recent", NULL);
    CHECK_INT(complete, -1);
    look(audit, 6, 0);
    look(audit, 6, AUDIT_INTERVAL_US);
    CHECK(!has(a, "test:k"));
    redis_destroy(redis);
    audit_destroy(audit);
    end_caches();
}

static void a_restored_database_is_detected(void) {
    begin_with_answers();
    struct audit *audit = audit_of(a);
    look(audit, 3, 0);
    look(audit, 3, AUDIT_INTERVAL_US);
    CHECK(!has(a, "test:k"));
    CHECK(announce_commit(b, 2, 3, 4));
    audit_destroy(audit);
    end_caches();
}

/* Waits until Redis replies with the announced counts again. */
static void nothing_is_cached_while_redis_does_not_reply(void) {
    begin_with_answers();
    struct audit *audit = audit_of(a);
    look(audit, 5, 0);
    command("SET", "ras:cache:announced:0000000000001267", "not a hash");
    look(audit, 5, AUDIT_INTERVAL_US);
    CHECK(has(a, "test:k")); /* a moment is no reason */
    look(audit, 5, 2 * AUDIT_INTERVAL_US);
    get(a, "test:k", &recipe);
    CHECK(!has(a, "test:k"));
    command("DEL", "ras:cache:announced:0000000000001267", NULL);
    look(audit, 5, 3 * AUDIT_INTERVAL_US);
    get(a, "test:k", &recipe);
    CHECK(!has(a, "test:k")); /* the announced counts are unknown */
    look(audit, 5, 4 * AUDIT_INTERVAL_US);
    WAIT_UNTIL(hears(a));
    audit_destroy(audit);
    end_caches();
}

static void a_redis_that_refuses_an_invalidation_is_bypassed(void) {
    begin_with_answers();
    struct audit *audit = audit_of(a);
    look(audit, 9, 0);
    command("SET", "ras:cache:seq", "not a number");
    look(audit, 9, AUDIT_INTERVAL_US);
    struct recipe new = {.body = "new", .tag = 1};
    CHECK_TEXT(get(a, "test:k", &new), "new");
    CHECK(!has(a, "test:k"));
    command("DEL", "ras:cache:seq", NULL);
    look(audit, 9, 2 * AUDIT_INTERVAL_US);
    CHECK_TEXT(get(a, "test:k", &new), "new");
    WAIT_UNTIL(hears(a));
    audit_destroy(audit);
    end_caches();
}

/* Who reads from a replica compares it with the positions of announcements. One commit may have
 * been covered by an earlier announcement, two in a row not. */
static void commits_without_a_position_bypass_the_caches_where_replicas_are_read(void) {
    char *replica = (char *)"postgresql://nobody@127.0.0.1:1/replica";
    const char *const positions[] = {"000000010000000000000005", NULL, "000000010000000000000008",
                                     NULL, NULL};
    begin_with_answers();
    config.postgres.read_urls = (struct config_strings){&replica, 1};
    struct audit *audit = audit_of(a);
    int64_t now_us = 0;
    look(audit, 5, now_us);
    for (uint64_t i = 0; i < 5; i++) {
        announced_position = positions[i];
        CHECK(announce_commit(b, 2, 5 + i, 6 + i));
        CHECK(has(b, "test:k"));
        look(audit, 6 + i, now_us += AUDIT_INTERVAL_US);
        look(audit, 6 + i, now_us += AUDIT_INTERVAL_US); /* without a commit it says nothing */
        CHECK(has(a, "test:k") == (i < 4));
    }
    WAIT_UNTIL(!has(b, "test:k")); /* what the whole fleet has stored is dropped */
    look(audit, 10, now_us + AUDIT_INTERVAL_US);
    CHECK(!hears(a));
    look(audit, 10, now_us + 200 * AUDIT_INTERVAL_US);
    WAIT_UNTIL(hears(a));
    announced_position = NULL;
    config.postgres.read_urls = (struct config_strings){0};
    audit_destroy(audit);
    end_caches();
}

static const struct test_case cases[] = {
    {"an announced commit drops nothing", an_announced_commit_drops_nothing},
    {"processes share an audit that found nothing", processes_share_an_audit_that_found_nothing},
    {"an audit that found or took too long is not shared",
     an_audit_that_found_or_took_too_long_is_not_shared},
    {"an audit keeps the counts of an idle view", an_audit_keeps_the_counts_of_an_idle_view},
    {"a late announcement drops nothing before the limit",
     a_late_announcement_drops_nothing_before_the_limit},
    {"consecutive announcements leave no gap", consecutive_announcements_leave_no_gap},
    {"an unannounced commit drops all responses within a second",
     an_unannounced_commit_drops_all_responses_within_a_second},
    {"counts that Redis has lost are no unannounced commits",
     counts_that_redis_has_lost_are_no_unannounced_commits},
    {"an announcement behind a gap says so and does not hide it",
     an_announcement_behind_a_gap_says_so_and_does_not_hide_it},
    {"a partial announcement does not count", a_partial_announcement_does_not_count},
    {"a restored database is detected", a_restored_database_is_detected},
    {"nothing is cached while Redis does not reply", nothing_is_cached_while_redis_does_not_reply},
    {"a Redis that refuses an invalidation is bypassed",
     a_redis_that_refuses_an_invalidation_is_bypassed},
    {"commits without a position bypass the caches where replicas are read",
     commits_without_a_position_bypass_the_caches_where_replicas_are_read},
};

TEST_MAIN(cases)
