/* vocabulary: an answer in the vocabulary of its caller. The cache has one answer for all callers,
 * and the words are put in as it leaves. Pure; any thread. */
#ifndef AGG_HOST_HTTP_VOCABULARY_H
#define AGG_HOST_HTTP_VOCABULARY_H

#include "cache/cache.h"
#include "script/script.h"

/* The answer with the words at words->at as the named vocabulary says them. Takes the reference and
 * returns one, of the same answer where nothing differs: another status than 200, no such
 * vocabulary, no word that it says otherwise, or a body that is not JSON. words: NULL for none. */
struct answer *vocabulary_apply(struct answer *answer, const struct script_words *words,
                                const char *vocabulary);

#endif
