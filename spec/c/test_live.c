/* The readers of live routes, on a site that answers from a variable: which answers are asked for,
 * and what a reader gets. */
#include <pthread.h>

#include "http/live.h"
#include "test.h"

static const uint64_t TAG = 7;
static const uint64_t TAG_OF_THE_SAME_BUCKET = 7 + 16384; /* BUCKETS of live.c */
static const char PATH[] = "/batches/b";
static const char OTHER_PATH[] = "/batches/other"; /* its questions are not counted */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char body[32];
    int status, asked, released;
    bool held;   /* `ask` waits while it is true */
    bool inside; /* `ask` waits */
    bool fails;
    bool hears;
    bool has_no_tags; /* what is answered depends on no tag */
} site;

static bool answer_of(struct live_answer *answer, int status, const char *body, size_t tags) {
    answer->cached = cached_response_create(status, slice_of(body));
    answer->tags = calloc(1, sizeof TAG);
    answer->tags[0] = TAG;
    answer->tag_count = tags;
    answer->held = &site;
    return true;
}

static bool ask(void *context, struct slice path, struct live_answer *answer, struct err *err) {
    (void)context;
    pthread_mutex_lock(&site.lock);
    site.asked += slice_equal(path, slice_of(PATH));
    char body[sizeof site.body];
    memcpy(body, site.body, sizeof body); /* as a query takes its snapshot, and is then slow */
    while (site.held) {
        site.inside = true;
        pthread_cond_wait(&site.changed, &site.lock);
    }
    site.inside = false;
    bool fails = site.fails;
    int status = site.status;
    size_t tags = site.has_no_tags ? 0 : 1;
    pthread_mutex_unlock(&site.lock);
    if (fails) {
        return err_set(err, ERR_UNAVAILABLE, "no database");
    }
    return answer_of(answer, status, body, tags);
}

/* The words of the caller "loud" have an exclamation mark. */
static struct cached_response *translate(const struct live_answer *answer, const char *caller) {
    char body[64];
    if (!*caller) {
        return cached_response_ref(answer->cached);
    }
    snprintf(body, sizeof body, "[%.*s,\"!\"]", (int)answer->cached->body.len,
             answer->cached->body.data);
    return cached_response_create(answer->cached->status, slice_of(body));
}

static void release(void *held) {
    CHECK(held == &site);
    pthread_mutex_lock(&site.lock);
    site.released++;
    pthread_mutex_unlock(&site.lock);
}

static bool hears(void *context) {
    (void)context;
    return site.hears;
}

static struct live *begin(void) {
    static const struct live_site calls = {NULL, ask, translate, release, hears};
    struct err err = {0};
    pthread_mutex_init(&site.lock, NULL);
    pthread_cond_init(&site.changed, NULL);
    snprintf(site.body, sizeof site.body, "1");
    site.status = 200;
    site.asked = site.released = 0;
    site.held = site.inside = site.fails = site.has_no_tags = false;
    site.hears = true;
    struct live *live = live_create(&calls, &err);
    CHECK_OK(live != NULL, &err);
    return live;
}

static void set(bool *flag, bool value) {
    pthread_mutex_lock(&site.lock);
    *flag = value;
    pthread_cond_broadcast(&site.changed);
    pthread_mutex_unlock(&site.lock);
}

static bool is(const bool *flag) {
    pthread_mutex_lock(&site.lock);
    bool value = *flag;
    pthread_mutex_unlock(&site.lock);
    return value;
}

static int asked(void) {
    pthread_mutex_lock(&site.lock);
    int value = site.asked;
    pthread_mutex_unlock(&site.lock);
    return value;
}

static void answer(const char *body) {
    pthread_mutex_lock(&site.lock);
    snprintf(site.body, sizeof site.body, "%s", body);
    pthread_mutex_unlock(&site.lock);
}

static void on_news(void *context) {
    atomic_fetch_add((_Atomic int *)context, 1);
}

static struct live_reader *join(struct live *live, const char *caller, const char *id,
                                _Atomic int *news) {
    const struct live_request request = {.path = slice_of(PATH),
                                         .last_event_id = slice_of(id),
                                         .caller = slice_of(caller),
                                         .wants_answer = true};
    struct live_reader *reader = live_reader_create(live, &request, 100);
    *news = 0;
    live_reader_join(reader, on_news, news);
    return reader;
}

/* Until the thread, which works in order, has done all that it was asked for before. */
static void wait_for_the_thread(struct live *live) {
    const struct live_request request = {.path = slice_of(OTHER_PATH)};
    _Atomic int news = 0;
    struct live_reader *reader = live_reader_create(live, &request, 100);
    live_reader_join(reader, on_news, &news);
    WAIT_UNTIL(news == 1);
    live_reader_leave(reader);
}

/* The text of the next event; "": none. */
static const char *take(struct live_reader *reader, bool *ends) {
    static char text[256];
    struct live_message *message = live_reader_take(reader, ends);
    snprintf(text, sizeof text, "%.*s", message ? (int)message->len : 0,
             message ? message->bytes : "");
    live_message_unref(message);
    return text;
}

static void tells_each_reader_of_a_change_once(void) {
    struct live *live = begin();
    _Atomic int one, other;
    bool ends;
    struct live_reader *plain = join(live, NULL, NULL, &one);
    struct live_reader *loud = join(live, "loud", NULL, &other);
    WAIT_UNTIL(one == 1 && other == 1);
    CHECK_HAS(take(plain, &ends), "\"answer\":1}\n\n");
    CHECK_HAS(take(loud, &ends), "\"answer\":[1,\"!\"]}\n\n");
    CHECK(!ends);
    CHECK_TEXT(take(plain, &ends), "");
    answer("2");
    live_invalidate(live, &TAG, 1);
    WAIT_UNTIL(one == 2 && other == 2);
    CHECK_HAS(take(plain, &ends), "\"answer\":2}\n\n");
    live_reader_leave(plain);
    live_reader_leave(loud);
    live_destroy(live);
    CHECK_INT(site.released, site.asked);
}

static void replaces_news_that_were_not_taken(void) {
    struct live *live = begin();
    _Atomic int news;
    bool ends;
    struct live_reader *reader = join(live, NULL, NULL, &news);
    WAIT_UNTIL(news == 1);
    for (int i = 2; i < 5; i++) {
        char body[8];
        snprintf(body, sizeof body, "%d", i);
        answer(body);
        live_invalidate(live, &TAG, 1);
        WAIT_UNTIL(news == i);
    }
    CHECK_HAS(take(reader, &ends), "\"answer\":4}\n\n");
    CHECK_TEXT(take(reader, &ends), "");
    live_reader_leave(reader);
    live_destroy(live);
}

/* A commit after the snapshot of the first answer, or of the second one. */
static void check_a_commit_while_it_asks(bool first) {
    struct live *live = begin();
    _Atomic int news;
    bool ends;
    site.held = first;
    struct live_reader *reader = join(live, NULL, NULL, &news);
    if (!first) {
        WAIT_UNTIL(news == 1);
        set(&site.held, true);
        live_invalidate(live, &TAG, 1);
    }
    WAIT_UNTIL(is(&site.inside));
    answer("2");
    live_invalidate(live, &TAG, 1);
    set(&site.held, false);
    WAIT_UNTIL(news == 2);
    CHECK_HAS(take(reader, &ends), "\"answer\":2}\n\n");
    live_reader_leave(reader);
    live_destroy(live);
}

static void asks_again_where_a_commit_came_while_it_asked(void) {
    check_a_commit_while_it_asks(false);
}

/* The first answer links the watch to its tags: until then only their buckets know of a commit. */
static void asks_again_where_a_commit_came_while_it_asked_first(void) {
    check_a_commit_while_it_asks(true);
}

static void check_asks_again_without_a_commit(bool *flag, bool value) {
    struct live *live = begin();
    _Atomic int news;
    *flag = value;
    struct live_reader *reader = join(live, NULL, NULL, &news);
    WAIT_UNTIL(asked() == 2);
    live_reader_leave(reader);
    live_destroy(live);
}

static void asks_again_while_no_commits_are_heard_of(void) {
    check_asks_again_without_a_commit(&site.hears, false);
}

static void asks_again_for_an_answer_without_tags(void) {
    check_asks_again_without_a_commit(&site.has_no_tags, true);
}

static void asks_for_nothing_that_did_not_change(void) {
    const uint64_t others[] = {8, TAG_OF_THE_SAME_BUCKET};
    struct live *live = begin();
    _Atomic int news;
    struct live_reader *reader = join(live, NULL, NULL, &news);
    WAIT_UNTIL(news == 1);
    live_invalidate(live, others, 2);
    wait_for_the_thread(live);
    CHECK_INT(asked(), 1);
    live_invalidate(live, &TAG, 1); /* the answer is the same: no event */
    WAIT_UNTIL(asked() == 2);
    live_invalidate(live, NULL, 0);
    WAIT_UNTIL(asked() == 3);
    CHECK_INT(news, 1);
    live_reader_leave(reader);
    live_invalidate(live, &TAG, 1);
    live_destroy(live);
    CHECK_INT(site.asked, 3);
}

static void keeps_silent_to_a_reader_that_has_the_answer(void) {
    struct live *live = begin();
    struct cached_response *known = cached_response_create(200, slice_of("1"));
    char id[20];
    _Atomic int news, other;
    snprintf(id, sizeof id, "%.16s", known->etag + 1);
    struct live_reader *knows = join(live, NULL, id, &news);
    struct live_reader *knows_not = join(live, NULL, "0123", &other);
    WAIT_UNTIL(other == 1);
    CHECK_INT(news, 0);
    cached_response_unref(known);
    live_reader_leave(knows);
    live_reader_leave(knows_not);
    live_destroy(live);
}

static void asks_again_after_a_failure(void) {
    struct live *live = begin();
    _Atomic int news;
    site.fails = true;
    struct live_reader *reader = join(live, NULL, NULL, &news);
    WAIT_UNTIL(asked() == 1);
    set(&site.fails, false);
    WAIT_UNTIL(news == 1);
    live_reader_leave(reader);
    live_destroy(live);
}

static void ends_a_stream_whose_answer_is_an_error(void) {
    struct live *live = begin();
    _Atomic int news;
    bool ends;
    site.status = 400;
    struct live_reader *reader = join(live, NULL, NULL, &news);
    WAIT_UNTIL(news == 1);
    CHECK_HAS(take(reader, &ends), "\"status\":400");
    CHECK(ends);
    live_reader_leave(reader);
    live_destroy(live);
}

static void ends_all_on_demand(void) {
    struct live *live = begin();
    _Atomic int news;
    bool ends;
    struct live_reader *reader = join(live, NULL, NULL, &news);
    WAIT_UNTIL(news == 1);
    live_end_all(live);
    CHECK_INT(news, 2);
    CHECK_HAS(take(reader, &ends), "\"answer\":1}");
    CHECK(ends);
    live_reader_leave(reader);
    live_destroy(live);
}

static void ends_a_reader_that_had_not_joined(void) {
    struct live *live = begin();
    const struct live_request request = {.path = slice_of(PATH)};
    struct live_reader *reader = live_reader_create(live, &request, 9);
    _Atomic int news = 0;
    bool ends;
    live_end_all(live);
    live_reader_join(reader, on_news, &news);
    CHECK(news > 0);
    live_message_unref(live_reader_take(reader, &ends));
    CHECK(ends);
    live_reader_leave(reader);
    live_destroy(live);
}

static void bounds_the_readers(void) {
    struct live *live = begin();
    const struct live_request request = {.path = slice_of(PATH)};
    struct live_reader *one = live_reader_create(live, &request, 1);
    CHECK(one && !live_reader_create(live, &request, 1));
    live_reader_leave(one); /* it never joined */
    one = live_reader_create(live, &request, 1);
    CHECK(one != NULL);
    live_reader_leave(one);
    live_destroy(live);
}

static void a_reader_may_leave_while_its_answer_is_asked_for(void) {
    struct live *live = begin();
    _Atomic int news, other;
    site.held = true;
    struct live_reader *reader = join(live, NULL, NULL, &news);
    WAIT_UNTIL(is(&site.inside));
    live_reader_leave(reader);
    reader = join(live, "loud", NULL, &other); /* of the watch that is asked for */
    set(&site.held, false);
    WAIT_UNTIL(other == 1);
    CHECK_INT(news, 0);
    live_reader_leave(reader);
    live_destroy(live);
}

static void keeps_line_ends_of_an_answer_within_its_field(void) {
    struct cached_response *cached = cached_response_create(200, slice_of("{\n\"a\":\r1}"));
    struct live_message *message = live_message_of(cached, true);
    char text[256], wanted[256];
    snprintf(text, sizeof text, "%.*s", (int)message->len, message->bytes);
    snprintf(
        wanted, sizeof wanted,
        "id: %.16s\nevent: change\ndata: {\"status\":200,\"etag\":\"\\\"%.16s\\\"\",\"answer\":{\n"
        "data: \"a\":\ndata: 1}}\n\n",
        cached->etag + 1, cached->etag + 1);
    CHECK_TEXT(text, wanted);
    live_message_unref(message);
    cached_response_unref(cached);
}

static const struct test_case cases[] = {
    {"tells each reader of a change once", tells_each_reader_of_a_change_once},
    {"replaces news that were not taken", replaces_news_that_were_not_taken},
    {"asks again where a commit came while it asked",
     asks_again_where_a_commit_came_while_it_asked},
    {"asks again where a commit came while it asked first",
     asks_again_where_a_commit_came_while_it_asked_first},
    {"asks again while no commits are heard of", asks_again_while_no_commits_are_heard_of},
    {"asks again for an answer without tags", asks_again_for_an_answer_without_tags},
    {"asks for nothing that did not change", asks_for_nothing_that_did_not_change},
    {"keeps silent to a reader that has the answer", keeps_silent_to_a_reader_that_has_the_answer},
    {"asks again after a failure", asks_again_after_a_failure},
    {"ends a stream whose answer is an error", ends_a_stream_whose_answer_is_an_error},
    {"ends all on demand", ends_all_on_demand},
    {"ends a reader that had not joined", ends_a_reader_that_had_not_joined},
    {"bounds the readers", bounds_the_readers},
    {"a reader may leave while its answer is asked for",
     a_reader_may_leave_while_its_answer_is_asked_for},
    {"keeps line ends of an answer within its field",
     keeps_line_ends_of_an_answer_within_its_field},
};

TEST_MAIN(cases)
