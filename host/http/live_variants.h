/* live_variants: one answer in the words of those who read it, each translated once. The
 * caller's thread alone. */
#pragma once

#include "live.h"

/* The answer in the words of one caller. */
struct live_variant {
    char *caller;
    struct cached_response *cached;
    struct live_message *messages[2]; /* without and with the answer */
};

/* Zeroed: none. */
struct live_variants {
    struct live_variant *items; /* malloc'ed */
    size_t count;
};

void live_variants_add(struct live_variants *variants, const char *caller); /* once */
/* NULL: it was not added. */
struct live_variant *live_variants_find(const struct live_variants *variants, const char *caller);
/* Fills all that were added. */
void live_variants_translate(struct live_variants *variants, const struct live_site *site,
                             const struct live_answer *answer);
void live_variants_free(struct live_variants *variants);
