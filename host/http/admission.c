#include "admission.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "config/fields.h"
#include "credentials.h"

#define LEAST_KEY_BYTES 16

struct admission {
    _Atomic int refs;
    struct credentials *keys, *services;
    bool certificate_is_key;
    struct config_strings clients; /* whose certificates are keys; none: all */
    struct problems warnings;
};

static void admission_warn(struct problems *problems, const char *setting,
                           const struct config_strings *list, bool secret, bool required) {
    size_t empty = 0;
    for (size_t i = 0; i < list->count; i++) {
        size_t len = strlen(list->items[i]);
        empty += len == 0;
        if (secret && len == 0) {
            problems_add(problems, "", 0, "%s: entry %zu is empty and is ignored", setting, i + 1);
        } else if (secret && len < LEAST_KEY_BYTES) {
            problems_add(problems, "", 0,
                         "%s: entry %zu has fewer than %d bytes and can be guessed: set a random "
                         "key",
                         setting, i + 1, LEAST_KEY_BYTES);
        }
    }
    if (required && empty == list->count) {
        problems_add(problems, "", 0,
                     "%s is empty: every request to a route with authentication is answered 401. "
                     "`aggregator config` names its variable",
                     setting);
    }
}

static void admission_warn_of_certificates(struct problems *problems, const struct config *config) {
    if (!config->http.client_certificate_is_key) {
        return;
    }
    if (!config->http.tls.client_ca[0]) {
        problems_add(problems, "", 0,
                     "http.client_certificate_is_key has no effect without http.tls_client_ca");
    } else if (config->http.tls.client_names.count == 0) {
        problems_add(
            problems, "", 0,
            "http.client_certificate_is_key is on and http.tls_client_names is empty: every "
            "certificate of http.tls_client_ca stands for an API key. Name the clients");
    }
}

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
    struct problems *warnings = &admission->warnings;
    for (size_t i = 0; i < config->warnings.count; i++) {
        problems_add(warnings, "", 0, "%s", config->warnings.items[i]);
    }
    admission->certificate_is_key =
        config->http.client_certificate_is_key && config->http.tls.client_ca[0];
    const struct config_strings *clients = &config->http.tls.client_names;
    for (size_t i = 0; admission->certificate_is_key && i < clients->count; i++) {
        config_strings_add(&admission->clients, clients->items[i]);
    }
    admission_warn(warnings, "http.api_keys", &config->http.api_keys, true,
                   !admission->certificate_is_key);
    admission_warn(warnings, "http.allowed_services", &config->http.allowed_services, false, true);
    admission_warn_of_certificates(warnings, config);
    admission_warn(warnings, "admin.keys", &config->admin.keys, true, false);
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
        config_strings_free(&admission->clients);
        free(admission);
    }
}

enum admission_result admission_judge(const struct admission *admission, struct slice key,
                                      struct slice service, const char *client) {
    bool certified = client && key.len == 0 && admission->certificate_is_key;
    if (key.len == 0 && !certified) {
        return ADMISSION_MISSING_KEY;
    }
    if (service.len == 0) {
        return ADMISSION_MISSING_SERVICE;
    }
    bool key_good = credentials_include(admission->keys, key) || certified;
    bool service_good = credentials_include(admission->services, service);
    return key_good && service_good                ? ADMISSION_GOOD
           : key_good                              ? ADMISSION_SERVICE_NOT_ALLOWED
           : credentials_are_none(admission->keys) ? ADMISSION_NO_KEYS
                                                   : ADMISSION_WRONG_KEY;
}

static bool admission_has_client(const struct admission *admission, const char *name) {
    size_t i = 0;
    while (i < admission->clients.count && strcmp(admission->clients.items[i], name) != 0) {
        i++;
    }
    return i < admission->clients.count;
}

/* Whether each certificate that is a key for `other` is one for `admission`. */
static bool admission_includes_clients(const struct admission *admission,
                                       const struct admission *other) {
    bool all = admission->clients.count == 0 || other->clients.count > 0;
    for (size_t i = 0; admission->clients.count > 0 && i < other->clients.count; i++) {
        all = all && admission_has_client(admission, other->clients.items[i]);
    }
    return !other->certificate_is_key || (admission->certificate_is_key && all);
}

bool admission_includes(const struct admission *admission, const struct admission *other) {
    return credentials_include_all(admission->keys, other->keys) &&
           credentials_include_all(admission->services, other->services) &&
           admission_includes_clients(admission, other);
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
