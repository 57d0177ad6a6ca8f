#include "secrets.h"

#include <string.h>

#include "base/redact.h"

static void secrets_note_keys(const struct config_strings *keys) {
    for (size_t i = 0; i < keys->count; i++) {
        redact_add(slice_of(keys->items[i]));
    }
}

/* librdkafka's properties that hold one. */
static bool secrets_is_secret_option(const char *name) {
    static const char *const parts[] = {"password", "secret", "key.pem", "oauthbearer.config"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strstr(name, parts[i])) {
            return true;
        }
    }
    return false;
}

void config_note_secrets(const struct config *config) {
    const struct config_pairs *options = &config->kafka.options;
    redact_add_url(config->postgres.url);
    redact_add_url(config->redis.url);
    secrets_note_keys(&config->http.api_keys);
    secrets_note_keys(&config->admin.keys);
    for (size_t i = 0; i < options->count; i++) {
        if (secrets_is_secret_option(options->names[i])) {
            redact_add(slice_of(options->values[i]));
        }
    }
}
