#include "admission.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "credentials.h"

#define LEAST_KEY_BYTES 16

struct admission {
    _Atomic int refs;
    struct credentials *keys, *services;
    struct problems warnings;
};

/* ---- warnings ------------------------------------------------------------------------------- */

static bool admission_has_text(const struct config_strings *list) {
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i][0]) {
            return true;
        }
    }
    return false;
}

static void admission_warn_of_empty(struct problems *problems, const char *setting,
                                    const struct config_strings *list) {
    if (!admission_has_text(list)) {
        problems_add(problems, "", 0,
                     "%s is empty: nobody is let in, every request of a route with "
                     "authentication is answered 401. config.lua names the variable that sets it",
                     setting);
    }
}

static void admission_warn_of_keys(struct problems *problems, const char *setting,
                                   const struct config_strings *keys) {
    for (size_t i = 0; i < keys->count; i++) {
        size_t len = strlen(keys->items[i]);
        if (len == 0) {
            problems_add(problems, "", 0, "%s: entry %zu is empty: it lets nobody in", setting,
                         i + 1);
        } else if (len < LEAST_KEY_BYTES) {
            problems_add(problems, "", 0,
                         "%s: entry %zu has fewer than %d bytes, and can be guessed: take a "
                         "random one",
                         setting, i + 1, LEAST_KEY_BYTES);
        }
    }
}

static void admission_warn(const struct config *config, struct problems *problems) {
    admission_warn_of_empty(problems, "http.api_keys", &config->http.api_keys);
    admission_warn_of_empty(problems, "http.allowed_services", &config->http.allowed_services);
    admission_warn_of_keys(problems, "http.api_keys", &config->http.api_keys);
    admission_warn_of_keys(problems, "admin.keys", &config->admin.keys);
}

/* ---- who is let in -------------------------------------------------------------------------- */

struct admission *admission_create(const struct config *config, struct err *err) {
    struct admission *admission = xcalloc(1, sizeof *admission);
    atomic_init(&admission->refs, 1);
    admission->keys = credentials_create("http.api_keys", &config->http.api_keys, err);
    if (admission->keys) {
        admission->services =
            credentials_create("http.allowed_services", &config->http.allowed_services, err);
    }
    if (!admission->services) {
        admission_unref(admission);
        return NULL;
    }
    admission_warn(config, &admission->warnings);
    return admission;
}

struct admission *admission_ref(struct admission *admission) {
    atomic_fetch_add_explicit(&admission->refs, 1, memory_order_relaxed);
    return admission;
}

void admission_unref(struct admission *admission) {
    if (admission && atomic_fetch_sub_explicit(&admission->refs, 1, memory_order_acq_rel) == 1) {
        credentials_destroy(admission->keys);
        credentials_destroy(admission->services);
        problems_free(&admission->warnings);
        free(admission);
    }
}

enum admission_result admission_judge(const struct admission *admission, struct slice key,
                                      struct slice service) {
    if (key.len == 0) {
        return ADMISSION_MISSING_KEY;
    }
    if (service.len == 0) {
        return ADMISSION_MISSING_SERVICE;
    }
    bool key_good = credentials_include(admission->keys, key);
    bool service_good = credentials_include(admission->services, service);
    return key_good && service_good                ? ADMISSION_GOOD
           : key_good                              ? ADMISSION_SERVICE_NOT_ALLOWED
           : credentials_are_none(admission->keys) ? ADMISSION_NO_KEYS
                                                   : ADMISSION_WRONG_KEY;
}

bool admission_knows_service(const struct admission *admission, struct slice service) {
    return credentials_include(admission->services, service);
}

const char *admission_message(enum admission_result result) {
    return result == ADMISSION_MISSING_KEY || result == ADMISSION_MISSING_SERVICE
               ? "Missing authentication"
               : "Invalid credentials";
}

const char *admission_reason(enum admission_result result) {
    static const char *const reasons[ADMISSION_RESULTS] = {
        [ADMISSION_GOOD] = "none",
        [ADMISSION_MISSING_KEY] = "missing_key",
        [ADMISSION_WRONG_KEY] = "wrong_key",
        [ADMISSION_NO_KEYS] = "no_key_configured",
        [ADMISSION_MISSING_SERVICE] = "missing_service",
        [ADMISSION_SERVICE_NOT_ALLOWED] = "service_not_allowed",
    };
    return reasons[result];
}

const struct problems *admission_warnings(const struct admission *admission) {
    return &admission->warnings;
}
