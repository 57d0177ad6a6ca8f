/* Reads a route's `words`: the place of words in its responses, and their vocabularies. */
#include "base/nearest.h"
#include "manifest.h"

#define MAX_VOCABULARIES 16
#define MAX_WORDS 256

struct words_reading {
    const char *at;
    const char **known; /* the words that a body may have; NULL: not declared */
    size_t known_count;
    struct script_words *words;
};

/* Whether JSON writes the text without escapes. */
static bool manifest_words_is_word_at(lua_State *L, int index) {
    size_t len;
    if (lua_type(L, index) != LUA_TSTRING) {
        return false;
    }
    const char *text = lua_tolstring(L, index, &len);
    bool plain = len > 0;
    for (size_t i = 0; i < len; i++) {
        plain = plain && (unsigned char)text[i] >= ' ' && text[i] != '"' && text[i] != '\\';
    }
    return plain;
}

static void manifest_words_take_vocabulary(struct manifest_reader *r, const char *name,
                                           struct script_vocabulary *vocabulary) {
    lua_State *L = r->L;
    const char **words = manifest_alloc(r->generation, MAX_WORDS * sizeof *words);
    const char **spoken = manifest_alloc(r->generation, MAX_WORDS * sizeof *spoken);
    *vocabulary = (struct script_vocabulary){manifest_text(r->generation, name), words, spoken, 0};
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (!manifest_words_is_word_at(L, -2) || !manifest_words_is_word_at(L, -1) ||
            vocabulary->count == MAX_WORDS) {
            lua_pop(L, 2);
            manifest_problem(r, name,
                             "vocabulary \"%.80s\" maps words to words, %d at most, without quotes "
                             "and backslashes",
                             name, MAX_WORDS);
            return;
        }
        words[vocabulary->count] = manifest_text(r->generation, lua_tostring(L, -2));
        spoken[vocabulary->count++] = manifest_text(r->generation, lua_tostring(L, -1));
    }
}

static void manifest_words_read_vocabularies(struct manifest_reader *r, void *target) {
    static const char wanted[] = "`vocabularies` maps names to tables of words, %d at most";
    struct script_words *words = ((struct words_reading *)target)->words;
    lua_State *L = r->L;
    struct script_vocabulary *items =
        manifest_alloc(r->generation, MAX_VOCABULARIES * sizeof *items);
    words->vocabularies = items;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (!manifest_words_is_word_at(L, -2) || !lua_istable(L, -1) ||
            words->count == MAX_VOCABULARIES) {
            lua_pop(L, 2);
            manifest_problem(r, "vocabularies", wanted, MAX_VOCABULARIES);
            return;
        }
        if (manifest_is_plain(r, lua_tostring(L, -2))) {
            manifest_words_take_vocabulary(r, lua_tostring(L, -2), &items[words->count++]);
        }
    }
}

static void manifest_words_read_known(struct manifest_reader *r, void *target) {
    struct words_reading *reading = target;
    reading->known = manifest_take_texts(r, "known", MAX_WORDS, &reading->known_count);
}

/* A vocabulary for an unknown word would have no effect. */
static void manifest_words_check_known(struct manifest_reader *r,
                                       const struct words_reading *reading,
                                       const struct script_vocabulary *vocabulary) {
    char hint[NEAREST_HINT_CAP];
    for (size_t i = 0; i < vocabulary->count; i++) {
        size_t k = 0;
        while (k < reading->known_count && strcmp(reading->known[k], vocabulary->words[i]) != 0) {
            k++;
        }
        if (k == reading->known_count) {
            manifest_problem(
                r, vocabulary->words[i],
                "vocabulary \"%.80s\" replaces \"%.80s\", which is not in `known`: %s",
                vocabulary->name, vocabulary->words[i],
                nearest_hint(hint, vocabulary->words[i], reading->known, reading->known_count));
        }
    }
}

static const struct manifest_key words_keys[] = {
    {"at", MANIFEST_TEXT, true, offsetof(struct words_reading, at),
     "their place in a body, \"orders.status\"", NULL},
    {"known", MANIFEST_TEXTS, false, 0,
     "the words that a body may have there, { \"pending\", \"failed\" }",
     manifest_words_read_known},
    {"vocabularies", MANIFEST_TABLE, true, 0, "{ internal = { failed = \"failed_critically\" } }",
     manifest_words_read_vocabularies},
};

static bool manifest_words_is_place(const char *at) {
    bool good = at[0] != '\0' && at[0] != '.';
    for (; *at; at++) {
        good = good && !(at[0] == '.' && (at[1] == '.' || at[1] == '\0'));
    }
    return good;
}

const struct script_words *manifest_read_words(struct manifest_reader *r) {
    struct manifest_scope scope = {0};
    struct words_reading reading = {.words =
                                        manifest_alloc(r->generation, sizeof(struct script_words))};
    manifest_enter(r, &scope, "words", "words");
    manifest_read_table(r, words_keys, COUNT(words_keys), false, &reading);
    if (reading.at && !manifest_words_is_place(reading.at)) {
        manifest_problem(r, "at", "`at` is \"%.200s\": names separated by dots", reading.at);
    }
    for (size_t v = 0; reading.known && v < reading.words->count; v++) {
        manifest_words_check_known(r, &reading, &reading.words->vocabularies[v]);
    }
    reading.words->at = reading.at ? reading.at : "";
    manifest_leave(r);
    return reading.words;
}
