#include "sessions.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/xalloc.h"
#include "bindings/digest.h"

#define SECOND_US 1000000LL

struct session {
    uint8_t hash[DIGEST_BYTES]; /* of the token */
    int64_t ends_us;            /* absolute */
    int64_t used_us;            /* last; 0: the slot is free */
};

struct sessions {
    pthread_mutex_t lock; /* guards all that follows */
    struct session items[SESSIONS_MAX];
    int64_t forgiven_us; /* when the failures so far no longer count */
};

struct sessions *sessions_create(void) {
    struct sessions *sessions = xcalloc(1, sizeof *sessions);
    pthread_mutex_init(&sessions->lock, NULL);
    return sessions;
}

void sessions_destroy(struct sessions *sessions) {
    if (sessions) {
        pthread_mutex_destroy(&sessions->lock);
        free(sessions);
    }
}

static bool sessions_is_live(const struct session *session, int64_t now_us) {
    return session->used_us > 0 && now_us < session->ends_us &&
           now_us < session->used_us + SESSIONS_IDLE_S * SECOND_US;
}

/* The slot for a new session: one that has ended, or the one that was used longest ago. */
static struct session *sessions_choose(struct sessions *sessions, int64_t now_us) {
    struct session *chosen = &sessions->items[0];
    for (size_t i = 0; i < SESSIONS_MAX && sessions_is_live(chosen, now_us); i++) {
        struct session *item = &sessions->items[i];
        if (!sessions_is_live(item, now_us) || item->used_us < chosen->used_us) {
            chosen = item;
        }
    }
    return chosen;
}

bool sessions_open(struct sessions *sessions, int64_t now_us, char token[SESSIONS_TOKEN_LEN + 1]) {
    uint8_t random[SESSIONS_TOKEN_LEN / 2], hash[DIGEST_BYTES];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        return false;
    }
    for (size_t i = 0; i < sizeof random; i++) {
        snprintf(token + 2 * i, 3, "%02x", random[i]);
    }
    if (!digest_sha256((struct slice){token, SESSIONS_TOKEN_LEN}, hash)) {
        return false;
    }
    pthread_mutex_lock(&sessions->lock);
    struct session *session = sessions_choose(sessions, now_us);
    memcpy(session->hash, hash, sizeof hash);
    session->ends_us = now_us + SESSIONS_ABSOLUTE_S * SECOND_US;
    session->used_us = now_us;
    pthread_mutex_unlock(&sessions->lock);
    return true;
}

/* Under the lock. NULL: none. Compares with every slot. */
static struct session *sessions_find(struct sessions *sessions, const uint8_t hash[DIGEST_BYTES]) {
    struct session *found = NULL;
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        struct session *item = &sessions->items[i];
        if (digest_equal(item->hash, hash) && item->used_us > 0) {
            found = item;
        }
    }
    return found;
}

int64_t sessions_use(struct sessions *sessions, struct slice token, int64_t now_us) {
    uint8_t hash[DIGEST_BYTES];
    int64_t left_s = 0;
    if (token.len != SESSIONS_TOKEN_LEN || !digest_sha256(token, hash)) {
        return 0;
    }
    pthread_mutex_lock(&sessions->lock);
    struct session *session = sessions_find(sessions, hash);
    if (session && sessions_is_live(session, now_us)) {
        session->used_us = now_us;
        left_s = (session->ends_us - now_us + SECOND_US - 1) / SECOND_US;
    }
    pthread_mutex_unlock(&sessions->lock);
    return left_s;
}

void sessions_close(struct sessions *sessions, struct slice token) {
    uint8_t hash[DIGEST_BYTES];
    if (token.len != SESSIONS_TOKEN_LEN || !digest_sha256(token, hash)) {
        return;
    }
    pthread_mutex_lock(&sessions->lock);
    struct session *session = sessions_find(sessions, hash);
    if (session) {
        *session = (struct session){0};
    }
    pthread_mutex_unlock(&sessions->lock);
}

/* ---- failures ------------------------------------------------------------------------------ */

/* A token bucket kept as one time: each failure moves it by SESSIONS_FAILURE_S. */
int sessions_wait_s(struct sessions *sessions, int64_t now_us) {
    int64_t most_us = (SESSIONS_FAILURES_MAX - 1) * SESSIONS_FAILURE_S * SECOND_US;
    pthread_mutex_lock(&sessions->lock);
    int64_t wait_us = sessions->forgiven_us - most_us - now_us;
    pthread_mutex_unlock(&sessions->lock);
    return wait_us > 0 ? (int)((wait_us + SECOND_US - 1) / SECOND_US) : 0;
}

void sessions_note_failure(struct sessions *sessions, int64_t now_us) {
    pthread_mutex_lock(&sessions->lock);
    int64_t from_us = sessions->forgiven_us > now_us ? sessions->forgiven_us : now_us;
    sessions->forgiven_us = from_us + SESSIONS_FAILURE_S * SECOND_US;
    pthread_mutex_unlock(&sessions->lock);
}
