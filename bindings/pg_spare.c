#include "pg_spare.h"

#include <pthread.h>

#include "base/clock.h"
#include "pg_connection.h"

#define SPARE_MOST 64
#define UNUSED_US (300 * 1000000LL) /* then it is closed */

struct spare {
    struct pg *pg;
    int64_t since_us;
};

static struct spare spares[SPARE_MOST]; /* last in, first out */
static size_t spare_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Under the lock. */
static struct pg *pg_spare_take_out(size_t at) {
    struct pg *pg = spares[at].pg;
    spare_count--;
    memmove(spares + at, spares + at + 1, (spare_count - at) * sizeof *spares);
    return pg;
}

struct pg *pg_borrow(const struct pg_options *options) {
    struct pg *pg = NULL;
    pthread_mutex_lock(&lock);
    for (size_t i = spare_count; i > 0 && !pg; i--) {
        if (pg_is_like(spares[i - 1].pg, options)) {
            pg = pg_spare_take_out(i - 1);
        }
    }
    pthread_mutex_unlock(&lock);
    return pg ? pg : pg_create(options);
}

void pg_give_back(struct pg *pg) {
    int64_t now_us = clock_monotonic_us();
    struct pg *unused = NULL;
    pthread_mutex_lock(&lock);
    if (spare_count > 0 && spares[0].since_us < now_us - UNUSED_US) {
        unused = pg_spare_take_out(0);
    }
    bool keep =
        pg_connected(pg) && pg->statement_count <= PG_STATEMENTS_MOST && spare_count < SPARE_MOST;
    if (keep) {
        spares[spare_count++] = (struct spare){pg, now_us};
    }
    pthread_mutex_unlock(&lock);
    pg_destroy(unused);
    if (!keep) {
        pg_destroy(pg);
    }
}

void pg_close_spare(void) {
    pthread_mutex_lock(&lock);
    while (spare_count > 0) {
        pg_destroy(pg_spare_take_out(spare_count - 1));
    }
    pthread_mutex_unlock(&lock);
}
