#include "live_variants.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

void live_variants_add(struct live_variants *variants, const char *caller) {
    if (!live_variants_find(variants, caller)) {
        variants->items = xgrow(variants->items, variants->count, sizeof *variants->items);
        variants->items[variants->count++] = (struct live_variant){.caller = xstrdup(caller)};
    }
}

struct live_variant *live_variants_find(const struct live_variants *variants, const char *caller) {
    for (size_t i = 0; i < variants->count; i++) {
        if (strcmp(variants->items[i].caller, caller) == 0) {
            return &variants->items[i];
        }
    }
    return NULL;
}

void live_variants_translate(struct live_variants *variants, const struct live_site *site,
                             const struct live_answer *answer) {
    for (size_t i = 0; i < variants->count; i++) {
        struct live_variant *variant = &variants->items[i];
        variant->cached = site->translate(answer, variant->caller);
        variant->messages[0] = live_message_of(variant->cached, false);
        variant->messages[1] = live_message_of(variant->cached, true);
    }
}

void live_variants_free(struct live_variants *variants) {
    for (size_t i = 0; i < variants->count; i++) {
        struct live_variant *variant = &variants->items[i];
        live_message_unref(variant->messages[0]);
        live_message_unref(variant->messages[1]);
        cached_response_unref(variant->cached);
        free(variant->caller);
    }
    free(variants->items);
}
