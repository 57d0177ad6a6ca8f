/* seen_budget: how long Redis keeps the ids of processed events, by what it holds of them. Needs
 * REDIS_TEST_URL. */
#include "pipeline/seen_budget.h"
#include "test.h"

#define MAX_MB 1
#define IDS (MAX_MB * 1048576LL / SEEN_ID_BYTES) /* that have room: 5,017 */
#define TTL_S 86400
#define KEY "ras:seen-counts"

static struct err err;
static struct redis *redis;

static void begin(void) {
    static char url[128];
    snprintf(url, sizeof url, "%s/9", test_url("REDIS_TEST_URL"));
    redis_destroy(redis);
    redis = redis_create(url, 5000, &err);
    struct slice flush[] = {slice_of("FLUSHDB")};
    CHECK_OK(redis_append(redis, flush, 1, &err) && redis_run(redis, NULL, NULL, &err), &err);
}

static void take(void *context, size_t index, const redisReply *reply) {
    (void)index;
    seen_budget_take(context, reply);
}

/* A process of its own. */
static struct seen_budget budget_of(int max_mb) {
    struct seen_budget budget = {0};
    seen_budget_configure(&budget, max_mb, TTL_S);
    return budget;
}

/* Stores ids, for as long as the budget says, and has them counted at once. Returns that time. */
static int add(struct seen_budget *budget, int64_t ids) {
    int ttl_s = seen_budget_ttl_s(budget);
    budget->count_us = 0;
    CHECK_OK(seen_budget_add(budget, redis, ids, ttl_s, &err) &&
                 redis_run(redis, take, budget, &err),
             &err);
    return ttl_s;
}

static void note(void *context, size_t index, const redisReply *reply) {
    (void)index;
    snprintf(context, 200, "%s", reply->str ? reply->str : "");
}

static const char *run(const char *one, const char *two, const char *three) {
    static char text[200];
    struct slice args[] = {slice_of(one), slice_of(two), slice_of(three ? three : "")};
    CHECK_OK(redis_append(redis, args, three ? 3 : 2, &err) && redis_run(redis, note, text, &err),
             &err);
    return text;
}

static void up_to_half_of_the_bound_every_id_is_kept_for_the_whole_time(void) {
    begin();
    struct seen_budget budget = budget_of(MAX_MB);
    CHECK_INT(add(&budget, IDS / 4), TTL_S);
    CHECK_INT(budget.held, IDS / 4);
    CHECK_INT(add(&budget, IDS / 4), TTL_S);
    CHECK_INT(budget.held, 2 * (IDS / 4));
    CHECK_INT(seen_budget_ttl_s(&budget), TTL_S);
}

static void above_it_ids_are_kept_as_long_as_the_rate_allows(void) {
    begin();
    struct seen_budget budget = budget_of(MAX_MB);
    add(&budget, IDS * 2 / 3);
    budget.rate = 10;
    CHECK_INT(seen_budget_ttl_s(&budget), IDS / 3 / 10);
    budget.rate = 1000000;
    CHECK_INT(seen_budget_ttl_s(&budget), 1);
    budget.rate = 0;
    CHECK_INT(seen_budget_ttl_s(&budget), IDS / 3);
    seen_budget_configure(&budget, MAX_MB, 60);
    CHECK_INT(seen_budget_ttl_s(&budget), 60);
}

static void at_the_bound_no_id_is_stored(void) {
    begin();
    struct seen_budget budget = budget_of(MAX_MB);
    add(&budget, IDS + 1);
    CHECK_INT(seen_budget_ttl_s(&budget), 0);
    seen_budget_configure(&budget, 8 * MAX_MB, TTL_S); /* a reload */
    CHECK_INT(seen_budget_ttl_s(&budget), TTL_S);
}

static void ids_that_no_count_has_yet_are_held_as_well(void) {
    begin();
    struct seen_budget budget = budget_of(MAX_MB);
    add(&budget, 0);
    CHECK_OK(seen_budget_add(&budget, redis, IDS, TTL_S, &err), &err); /* within a second */
    CHECK_INT(redis_queued(redis), 0);
    CHECK_INT(seen_budget_ttl_s(&budget), 0);
}

static void all_processes_have_one_bound(void) {
    begin();
    struct seen_budget one = budget_of(MAX_MB), other = budget_of(MAX_MB);
    add(&one, IDS / 2);
    add(&other, IDS / 2 + 2);
    CHECK_INT(other.held, IDS / 2 + IDS / 2 + 2);
    CHECK_INT(seen_budget_ttl_s(&other), 0);
    add(&one, 0);
    CHECK_INT(seen_budget_ttl_s(&one), 0);
}

static void what_has_expired_is_held_no_more(void) {
    begin();
    struct seen_budget budget = budget_of(MAX_MB);
    run("SET", KEY, "1700000000 5 5;1700000001:5000 4000000000:7 1700000002:90");
    add(&budget, 3);
    CHECK_INT(budget.held, 10);
    CHECK_HAS(run("GET", KEY, NULL), "4000000000:7 ");
    CHECK(!strstr(run("GET", KEY, NULL), ":5000"));
}

static void a_damaged_or_evicted_text_begins_again(void) {
    static const char *const texts[] = {"", "x", "1 2;3:4", "1 2 3", ";;;", "1 2 3;x:y:z 4"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        begin();
        struct seen_budget budget = budget_of(MAX_MB);
        run("SET", KEY, texts[i]);
        add(&budget, 3);
        CHECK_INT(budget.held, 3);
    }
}

/* 24 hours of ids have a few dozen counts, whatever the number of commits. */
static void the_text_stays_small(void) {
    begin();
    struct seen_budget budget = budget_of(1024);
    for (int ttl_s = 1; ttl_s <= TTL_S; ttl_s += ttl_s / 16 + 1) {
        budget.count_us = 0;
        CHECK_OK(seen_budget_add(&budget, redis, 1, ttl_s, &err) &&
                     redis_run(redis, take, &budget, &err),
                 &err);
    }
    struct slice args[] = {slice_of("STRLEN"), slice_of(KEY)};
    redisReply *reply = NULL;
    CHECK_OK(redis_append(redis, args, 2, &err) && redis_run_within(redis, 5000, &reply, &err),
             &err);
    CHECK(reply && reply->integer > 20 && reply->integer < 4000);
    if (reply) {
        freeReplyObject(reply);
    }
}

static void without_a_bound_nothing_is_counted(void) {
    begin();
    struct seen_budget budget = budget_of(0);
    CHECK_OK(seen_budget_add(&budget, redis, 1000000000, TTL_S, &err), &err);
    CHECK_INT(redis_queued(redis), 0);
    CHECK_INT(seen_budget_ttl_s(&budget), TTL_S);
}

static const struct test_case cases[] = {
    {"up to half of the bound every id is kept for the whole time",
     up_to_half_of_the_bound_every_id_is_kept_for_the_whole_time},
    {"above it ids are kept as long as the rate allows",
     above_it_ids_are_kept_as_long_as_the_rate_allows},
    {"at the bound no id is stored", at_the_bound_no_id_is_stored},
    {"ids that no count has yet are held as well", ids_that_no_count_has_yet_are_held_as_well},
    {"all processes have one bound", all_processes_have_one_bound},
    {"what has expired is held no more", what_has_expired_is_held_no_more},
    {"a damaged or evicted text begins again", a_damaged_or_evicted_text_begins_again},
    {"the text stays small", the_text_stays_small},
    {"without a bound nothing is counted", without_a_bound_nothing_is_counted},
};

TEST_MAIN(cases)
