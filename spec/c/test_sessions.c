/* Sessions of the console: their ends, their number, and failed sign-ins. No clock runs here. */
#include "console/sessions.h"

#include <stdio.h>

#include "test.h"

#define S 1000000LL
#define NOW (1000 * S)

typedef char token_text[SESSIONS_TOKEN_LEN + 1];

static bool used(struct sessions *sessions, const char *token, int64_t now_us) {
    return sessions_use(sessions, slice_of(token), now_us) > 0;
}

static void a_session_is_known_by_its_token_alone(void) {
    struct sessions *sessions = sessions_create();
    token_text one, two;
    CHECK(sessions_open(sessions, NOW, one) && sessions_open(sessions, NOW, two));
    CHECK(strlen(one) == SESSIONS_TOKEN_LEN && strcmp(one, two) != 0);
    CHECK(used(sessions, one, NOW) && used(sessions, two, NOW));
    one[0] = one[0] == '0' ? '1' : '0';
    CHECK(!used(sessions, one, NOW));
    CHECK(!used(sessions, "", NOW) && !used(sessions, "0000", NOW));
    CHECK(sessions_use(sessions, (struct slice){0}, NOW) == 0);
    sessions_destroy(sessions);
}

static void a_session_ends_when_it_is_not_used(void) {
    struct sessions *sessions = sessions_create();
    token_text token;
    CHECK(sessions_open(sessions, NOW, token));
    CHECK(used(sessions, token, NOW + (SESSIONS_IDLE_S - 1) * S));
    CHECK(used(sessions, token, NOW + (2 * SESSIONS_IDLE_S - 2) * S));
    CHECK(!used(sessions, token, NOW + (3 * SESSIONS_IDLE_S - 2) * S));
    sessions_destroy(sessions);
}

static void a_session_ends_at_its_limit_however_it_is_used(void) {
    struct sessions *sessions = sessions_create();
    token_text token;
    int64_t at_us = NOW, left_s = SESSIONS_ABSOLUTE_S;
    CHECK(sessions_open(sessions, NOW, token));
    while (left_s > 0 && at_us < NOW + 2 * SESSIONS_ABSOLUTE_S * S) {
        at_us += 600 * S;
        left_s = sessions_use(sessions, slice_of(token), at_us);
        CHECK(
            left_s ==
            (at_us < NOW + SESSIONS_ABSOLUTE_S * S ? SESSIONS_ABSOLUTE_S - (at_us - NOW) / S : 0));
    }
    CHECK(at_us == NOW + SESSIONS_ABSOLUTE_S * S);
    sessions_destroy(sessions);
}

static void a_closed_session_is_gone_and_others_stay(void) {
    struct sessions *sessions = sessions_create();
    token_text one, two;
    CHECK(sessions_open(sessions, NOW, one) && sessions_open(sessions, NOW, two));
    sessions_close(sessions, slice_of(one));
    sessions_close(sessions, slice_of(one));
    sessions_close(sessions, (struct slice){0});
    CHECK(!used(sessions, one, NOW) && used(sessions, two, NOW));
    sessions_destroy(sessions);
}

static void the_session_used_longest_ago_makes_room(void) {
    struct sessions *sessions = sessions_create();
    static token_text tokens[SESSIONS_MAX + 1];
    for (int i = 0; i < SESSIONS_MAX; i++) {
        CHECK(sessions_open(sessions, NOW + i, tokens[i]));
    }
    CHECK(used(sessions, tokens[0], NOW + SESSIONS_MAX)); /* now the second one is the oldest */
    CHECK(sessions_open(sessions, NOW + SESSIONS_MAX + 1, tokens[SESSIONS_MAX]));
    for (int i = 0; i <= SESSIONS_MAX; i++) {
        CHECK(used(sessions, tokens[i], NOW + SESSIONS_MAX + 2) == (i != 1));
    }
    sessions_destroy(sessions);
}

static void a_free_slot_is_taken_before_a_live_one(void) {
    struct sessions *sessions = sessions_create();
    static token_text tokens[SESSIONS_MAX + 1];
    for (int i = 0; i < SESSIONS_MAX; i++) {
        CHECK(sessions_open(sessions, NOW + i, tokens[i]));
    }
    sessions_close(sessions, slice_of(tokens[SESSIONS_MAX - 1]));
    CHECK(sessions_open(sessions, NOW + SESSIONS_MAX, tokens[SESSIONS_MAX]));
    CHECK(used(sessions, tokens[0], NOW + SESSIONS_MAX + 1));
    CHECK(used(sessions, tokens[SESSIONS_MAX], NOW + SESSIONS_MAX + 1));
    sessions_destroy(sessions);
}

static void failed_sign_ins_are_limited_and_forgiven(void) {
    struct sessions *sessions = sessions_create();
    for (int i = 0; i < SESSIONS_FAILURES_MAX; i++) {
        CHECK_INT(sessions_wait_s(sessions, NOW), 0);
        sessions_note_failure(sessions, NOW);
    }
    CHECK_INT(sessions_wait_s(sessions, NOW), SESSIONS_FAILURE_S);
    CHECK_INT(sessions_wait_s(sessions, NOW + SESSIONS_FAILURE_S * S - 1), 1);
    CHECK_INT(sessions_wait_s(sessions, NOW + SESSIONS_FAILURE_S * S), 0);
    sessions_note_failure(sessions, NOW + SESSIONS_FAILURE_S * S);
    CHECK_INT(sessions_wait_s(sessions, NOW + SESSIONS_FAILURE_S * S), SESSIONS_FAILURE_S);
    CHECK_INT(sessions_wait_s(sessions, NOW + 1000 * S), 0);
    sessions_destroy(sessions);
}

static const struct test_case cases[] = {
    {"a session is known by its token alone", a_session_is_known_by_its_token_alone},
    {"a session ends when it is not used", a_session_ends_when_it_is_not_used},
    {"a session ends at its limit however it is used",
     a_session_ends_at_its_limit_however_it_is_used},
    {"a closed session is gone and others stay", a_closed_session_is_gone_and_others_stay},
    {"the session used longest ago makes room", the_session_used_longest_ago_makes_room},
    {"a free slot is taken before a live one", a_free_slot_is_taken_before_a_live_one},
    {"failed sign ins are limited and forgiven", failed_sign_ins_are_limited_and_forgiven},
};
TEST_MAIN(cases)
