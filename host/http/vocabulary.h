/* vocabulary: translates words in a response into its caller's vocabulary. The cache has one
 * response for all callers. Pure; any thread. */
#pragma once

#include "cache/cache.h"
#include "script/script.h"

/* Replaces the words at words->at. Takes the reference and returns one: the same where nothing
 * changes, as for another status than 200, an unknown vocabulary or a body that is not JSON. words
 * and vocabulary may be NULL. */
struct cached_response *vocabulary_apply(struct cached_response *cached,
                                         const struct script_words *words, const char *vocabulary);
