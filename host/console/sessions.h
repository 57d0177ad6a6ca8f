/* sessions: who is signed in to the console, in memory only: a restart ends them all. Of a token
 * only its SHA-256 is kept. Any thread. Times are of the monotonic clock. */
#pragma once

#include <stdint.h>

#include "base/slice.h"

#define SESSIONS_MAX 32
#define SESSIONS_IDLE_S 1800      /* OWASP: 15 to 30 minutes for what is of high value */
#define SESSIONS_ABSOLUTE_S 43200 /* a shift */
#define SESSIONS_TOKEN_LEN 64     /* hexadecimal digits: 256 bits of getrandom(2) */
/* Failed sign-ins: so many at once, then one in so many seconds. */
#define SESSIONS_FAILURES_MAX 10
#define SESSIONS_FAILURE_S 6

struct sessions;

struct sessions *sessions_create(void);
void sessions_destroy(struct sessions *sessions);

/* Begins a session; replaces the one that has been idle longest if there are SESSIONS_MAX. False:
 * no random numbers or no SHA-256. */
bool sessions_open(struct sessions *sessions, int64_t now_us, char token[SESSIONS_TOKEN_LEN + 1]);
/* Seconds until the session's absolute end, which this use does not move; 0: there is none with
 * that token, or it has ended. */
int64_t sessions_use(struct sessions *sessions, struct slice token, int64_t now_us);
void sessions_close(struct sessions *sessions, struct slice token);

/* Seconds until the next sign-in may be tried: too many failed, and the key must not be looked at;
 * 0: it may be tried now. */
int sessions_wait_s(struct sessions *sessions, int64_t now_us);
void sessions_note_failure(struct sessions *sessions, int64_t now_us);
