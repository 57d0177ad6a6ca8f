#include "live_variants.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

void live_variants_add(struct live_variants *variants, const char *vocabulary) {
    if (!live_variants_find(variants, vocabulary)) {
        variants->items = xgrow(variants->items, variants->count, sizeof *variants->items);
        variants->items[variants->count++] =
            (struct live_variant){.vocabulary = xstrdup(vocabulary)};
    }
}

struct live_variant *live_variants_find(const struct live_variants *variants,
                                        const char *vocabulary) {
    for (size_t i = 0; i < variants->count; i++) {
        if (strcmp(variants->items[i].vocabulary, vocabulary) == 0) {
            return &variants->items[i];
        }
    }
    return NULL;
}

void live_variants_translate(struct live_variants *variants, const struct live_site *site,
                             const struct live_answer *answer) {
    for (size_t i = 0; i < variants->count; i++) {
        struct live_variant *variant = &variants->items[i];
        variant->cached = site->translate(answer, variant->vocabulary);
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
        free(variant->vocabulary);
    }
    free(variants->items);
}
