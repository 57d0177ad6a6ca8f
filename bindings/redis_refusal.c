#include "redis_refusal.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#define SHOWN_US 15000000

enum refusal { RIGHT, LOGIN, CLUSTER, REPLICA, MEMORY, DISK, BUSY, REFUSALS };

static const struct {
    const char *label;
    const char *reason;
} refusals[REFUSALS] = {
    [RIGHT] = {"right", "the Redis user lacks a right"},
    [LOGIN] = {"login", "Redis refuses the login"},
    [CLUSTER] = {"cluster", "Redis is a cluster: commands with several keys fail"},
    [REPLICA] = {"replica", "Redis is a read-only replica"},
    [MEMORY] = {"memory", "Redis is out of memory"},
    [DISK] = {"disk", "Redis cannot save to disk and rejects writes"},
    [BUSY] = {"busy", "Redis is loading, or busy with a script"},
};

/* An error code, or a part of a script's error. */
static const struct {
    const char *words;
    enum refusal refusal;
} signs[] = {
    {"NOPERM", RIGHT},        {"user executing the script", RIGHT},
    {"NOAUTH", LOGIN},        {"WRONGPASS", LOGIN},
    {"CROSSSLOT", CLUSTER},   {"MOVED", CLUSTER},
    {"ASK ", CLUSTER},        {"TRYAGAIN", CLUSTER},
    {"CLUSTERDOWN", CLUSTER}, {"non local key", CLUSTER},
    {"READONLY", REPLICA},    {"MASTERDOWN", REPLICA},
    {"OOM", MEMORY},          {"MISCONF", DISK},
    {"LOADING", BUSY},        {"BUSY", BUSY},
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards `noted` */
static struct {
    int64_t noted_us; /* last; 0: never */
    char right[64];   /* of RIGHT: which one */
} noted[REFUSALS];

/* A code is in capitals, at the start or after a script's "-". */
static bool redis_refusal_has_sign(const char *error, const char *words) {
    const char *at = strstr(error, words);
    bool is_code = words[0] >= 'A' && words[0] <= 'Z';
    return at && (!is_code || at == error || at[-1] == '-');
}

static int redis_refusal_of(const char *error) {
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        if (redis_refusal_has_sign(error, signs[i].words)) {
            return signs[i].refusal;
        }
    }
    return -1;
}

/* Redis quotes a command, but says only "key" or "channel" of these. */
static void redis_refusal_name_right(const char *error, char *out, size_t cap) {
    const char *quote = strchr(error, '\'');
    size_t len = quote ? strspn(quote + 1, "abcdefghijklmnopqrstuvwxyz|") : 0;
    if (len > 0 && quote[len + 1] == '\'') {
        snprintf(out, cap, "the command %.*s", (int)len, quote + 1);
    } else if (strstr(error, "channel")) {
        snprintf(out, cap, "the channel");
    } else {
        snprintf(out, cap, strstr(error, "key") ? "a key" : "a command of a script");
    }
}

static void redis_refusal_count(enum refusal refusal) {
    metric_add(metric_cell(metric_family(METRIC_COUNTER, "ras_redis_refusals_total",
                                         "Commands that Redis refused, by why.", "reason"),
                           refusals[refusal].label),
               1);
}

static bool redis_refusal_is_recent(enum refusal refusal, int64_t now_us) {
    return noted[refusal].noted_us != 0 && now_us - noted[refusal].noted_us < SHOWN_US;
}

bool redis_refusal_note(const char *error) {
    int refusal = redis_refusal_of(error);
    char right[sizeof noted[0].right] = "";
    if (refusal < 0) {
        return false;
    }
    if (refusal == RIGHT) {
        redis_refusal_name_right(error, right, sizeof right);
    }
    int64_t now_us = clock_monotonic_us();
    pthread_mutex_lock(&lock);
    bool is_new = !redis_refusal_is_recent((enum refusal)refusal, now_us);
    noted[refusal].noted_us = now_us;
    if (is_new) {
        snprintf(noted[refusal].right, sizeof noted[refusal].right, "%s", right);
    }
    pthread_mutex_unlock(&lock);
    redis_refusal_count((enum refusal)refusal);
    if (is_new) {
        log_warning("Redis refuses commands: the service continues without them",
                    LOG_TEXT("reason", refusals[refusal].reason), LOG_TEXT("error", error));
    }
    return refusal == REPLICA;
}

bool redis_refusal_now(char text[REDIS_REFUSAL_TEXT_CAP]) {
    int64_t now_us = clock_monotonic_us();
    bool found = false;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < REFUSALS && !found; i++) {
        found = redis_refusal_is_recent((enum refusal)i, now_us);
        if (found) {
            snprintf(text, REDIS_REFUSAL_TEXT_CAP, "%s%s%s", refusals[i].reason,
                     noted[i].right[0] ? ": " : "", noted[i].right);
        }
    }
    pthread_mutex_unlock(&lock);
    return found;
}

void redis_refusal_forget(void) {
    pthread_mutex_lock(&lock);
    memset(noted, 0, sizeof noted);
    pthread_mutex_unlock(&lock);
}
