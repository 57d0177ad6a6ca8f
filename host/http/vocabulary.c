#include "vocabulary.h"

#include "base/buffer.h"
#include "base/json_scan.h"

struct translation {
    struct json_cursor cursor;
    const struct script_vocabulary *vocabulary;
    struct buffer out;
    const char *copied; /* the body is copied up to here */
    int lists;          /* lists around the cursor */
    bool done;          /* the path names one place, which was passed */
};

static const struct script_vocabulary *vocabulary_find(const struct script_words *words,
                                                       const char *name) {
    for (size_t i = 0; words && name && i < words->count; i++) {
        if (strcmp(words->vocabularies[i].name, name) == 0) {
            return words->vocabularies[i].count > 0 ? &words->vocabularies[i] : NULL;
        }
    }
    return NULL;
}

static void vocabulary_replace_word(struct translation *translation) {
    const struct script_vocabulary *vocabulary = translation->vocabulary;
    struct json_value word;
    if (!json_read(&translation->cursor, &word)) {
        return;
    }
    translation->done = translation->lists == 0;
    for (size_t i = 0; word.type == JSON_STRING && i < vocabulary->count; i++) {
        if (slice_equal(word.raw, slice_of(vocabulary->words[i]))) {
            buffer_append(&translation->out, translation->copied,
                          (size_t)(word.raw.data - translation->copied));
            buffer_append_text(&translation->out, vocabulary->spoken[i]);
            translation->copied = word.raw.data + word.raw.len;
            return;
        }
    }
}

static void vocabulary_replace_at(struct translation *translation, const char *path);

static void vocabulary_replace_in_list(struct translation *translation, const char *path) {
    bool more = json_enter(&translation->cursor);
    translation->lists++;
    while (more && json_next_element(&translation->cursor, &more) && more) {
        vocabulary_replace_at(translation, path);
    }
    translation->lists--;
}

static void vocabulary_replace_in_object(struct translation *translation, const char *path) {
    size_t len = strcspn(path, ".");
    struct json_value key, skipped;
    bool more = json_enter(&translation->cursor);
    while (more && !translation->done && json_next_member(&translation->cursor, &key, &more) &&
           more) {
        if (slice_equal(key.raw, (struct slice){path, len})) {
            vocabulary_replace_at(translation, path + len + (path[len] == '.'));
        } else {
            json_read(&translation->cursor, &skipped);
        }
    }
}

/* Follows the path from the value at the cursor; "": that value is the word. */
static void vocabulary_replace_at(struct translation *translation, const char *path) {
    enum json_type type;
    struct json_value skipped;
    if (!json_peek(&translation->cursor, &type)) {
        return;
    }
    if (type == JSON_ARRAY) {
        vocabulary_replace_in_list(translation, path);
    } else if (*path == '\0') {
        vocabulary_replace_word(translation);
    } else if (type == JSON_OBJECT) {
        vocabulary_replace_in_object(translation, path);
    } else {
        json_read(&translation->cursor, &skipped);
    }
}

struct cached_response *vocabulary_apply(struct cached_response *cached,
                                         const struct script_words *words, const char *vocabulary) {
    struct translation translation = {.vocabulary = vocabulary_find(words, vocabulary)};
    if (!translation.vocabulary || cached->status != 200) {
        return cached;
    }
    struct slice body = cached->body;
    translation.copied = body.data;
    json_begin(&translation.cursor, body);
    vocabulary_replace_at(&translation, words->at);
    if (translation.cursor.error || translation.copied == body.data) {
        buffer_free(&translation.out);
        return cached;
    }
    buffer_append(&translation.out, translation.copied,
                  (size_t)(body.data + body.len - translation.copied));
    struct cached_response *spoken =
        cached_response_create(cached->status, buffer_slice(&translation.out));
    buffer_free(&translation.out);
    cached_response_unref(cached);
    return spoken;
}
