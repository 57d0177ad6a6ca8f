/* refresh: which texts are run, in which order, and by how many threads. Also run under
 * ThreadSanitizer. */
#include "http/refresh.h"

#include <pthread.h>

#include "test.h"

#define MANY 40

static struct refresh *refresh;

/* What the texts' runs have done. A text that begins with "slow" waits for the gate. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    int running, most; /* slow ones, at a time */
    char order[2048];  /* "slow fast " */
    int ended;
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void run(void *context, struct slice text) {
    (void)context;
    pthread_mutex_lock(&seen.lock);
    size_t used = strlen(seen.order);
    snprintf(seen.order + used, sizeof seen.order - used, "%.*s ", (int)text.len, text.data);
    if (strncmp(text.data, "slow", 4) == 0) {
        seen.running++;
        seen.most = seen.running > seen.most ? seen.running : seen.most;
        while (!seen.open) {
            pthread_cond_wait(&seen.changed, &seen.lock);
        }
        seen.running--;
    }
    seen.ended++;
    pthread_mutex_unlock(&seen.lock);
}

static bool has_begun(const char *text) {
    pthread_mutex_lock(&seen.lock);
    bool found = strstr(seen.order, text) != NULL;
    pthread_mutex_unlock(&seen.lock);
    return found;
}

static int ended(void) {
    pthread_mutex_lock(&seen.lock);
    int count = seen.ended;
    pthread_mutex_unlock(&seen.lock);
    return count;
}

static void open_gate(void) {
    pthread_mutex_lock(&seen.lock);
    seen.open = true;
    pthread_cond_broadcast(&seen.changed);
    pthread_mutex_unlock(&seen.lock);
}

static void begin(int states) {
    struct err err = {0};
    seen.open = false;
    seen.most = seen.ended = 0;
    seen.order[0] = '\0';
    refresh = refresh_create(run, NULL, &err);
    CHECK_OK(refresh != NULL, &err);
    refresh_bound(refresh, states);
}

static bool give(const char *route, const char *text) {
    return refresh_give(refresh, route, slice_of(text));
}

static void many_slow_texts_of_a_route_do_not_delay_another_route(void) {
    begin(4);
    for (int i = 0; i < MANY; i++) {
        CHECK(give("/slow", "slow"));
    }
    WAIT_UNTIL(has_begun("slow"));
    CHECK(give("/fast", "fast"));
    WAIT_UNTIL(has_begun("fast")); /* no slow one has ended */
    open_gate();
    WAIT_UNTIL(ended() == MANY + 1);
    CHECK_INT(seen.most, 1); /* of one route, at a time */
    refresh_destroy(refresh);
}

static void routes_take_turns(void) {
    begin(1);
    CHECK(give("/slow", "slow"));
    WAIT_UNTIL(has_begun("slow"));
    CHECK(give("/a", "a1") && give("/a", "a2") && give("/a", "a3") && give("/b", "b1"));
    open_gate();
    WAIT_UNTIL(ended() == 5);
    CHECK_TEXT(seen.order, "slow a1 b1 a2 a3 ");
    refresh_destroy(refresh);
}

static void slow_routes_take_half_of_the_states(void) {
    begin(4);
    CHECK(give("/1", "slow1") && give("/2", "slow2") && give("/3", "slow3"));
    WAIT_UNTIL(has_begun("slow1") && has_begun("slow2"));
    CHECK(!has_begun("slow3"));
    refresh_bound(refresh, 6); /* http.states has changed */
    WAIT_UNTIL(has_begun("slow3"));
    open_gate();
    WAIT_UNTIL(ended() == 3);
    CHECK_INT(seen.most, 3);
    refresh_destroy(refresh);
}

static void a_route_whose_queue_is_full_leaves_room_to_another(void) {
    begin(1);
    CHECK(give("/slow", "slow"));
    WAIT_UNTIL(has_begun("slow"));
    for (int i = 0; i < REFRESH_MOST; i++) {
        CHECK(give("/slow", "slow"));
    }
    CHECK(!give("/slow", "slow"));
    CHECK(give("/fast", "fast"));
    open_gate();
    refresh_destroy(refresh); /* with texts that wait */
}

static const struct test_case cases[] = {
    {"many slow texts of a route do not delay another route",
     many_slow_texts_of_a_route_do_not_delay_another_route},
    {"routes take turns", routes_take_turns},
    {"slow routes take half of the states", slow_routes_take_half_of_the_states},
    {"a route whose queue is full leaves room to another",
     a_route_whose_queue_is_full_leaves_room_to_another},
};

TEST_MAIN(cases)
