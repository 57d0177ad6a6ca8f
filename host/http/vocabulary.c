#include "vocabulary.h"

#include "base/buffer.h"
#include "base/json_scan.h"

struct speech {
    struct json_cursor cursor;
    const struct script_vocabulary *vocabulary;
    struct buffer out;
    const char *copied; /* of the body, up to here */
    int lists;          /* that the cursor is inside of */
    bool done;          /* there is one place only, and it was passed */
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

static void vocabulary_replace_word(struct speech *speech) {
    const struct script_vocabulary *vocabulary = speech->vocabulary;
    struct json_value word;
    if (!json_read(&speech->cursor, &word)) {
        return;
    }
    speech->done = speech->lists == 0;
    for (size_t i = 0; word.type == JSON_STRING && i < vocabulary->count; i++) {
        if (slice_equal(word.raw, slice_of(vocabulary->words[i]))) {
            buffer_append(&speech->out, speech->copied, (size_t)(word.raw.data - speech->copied));
            buffer_append_text(&speech->out, vocabulary->spoken[i]);
            speech->copied = word.raw.data + word.raw.len;
            return;
        }
    }
}

static void vocabulary_replace_at(struct speech *speech, const char *path);

static void vocabulary_replace_in_list(struct speech *speech, const char *path) {
    bool more = json_enter(&speech->cursor);
    speech->lists++;
    while (more && json_next_element(&speech->cursor, &more) && more) {
        vocabulary_replace_at(speech, path);
    }
    speech->lists--;
}

static void vocabulary_replace_in_object(struct speech *speech, const char *path) {
    size_t len = strcspn(path, ".");
    struct json_value key, skipped;
    bool more = json_enter(&speech->cursor);
    while (more && !speech->done && json_next_member(&speech->cursor, &key, &more) && more) {
        if (slice_equal(key.raw, (struct slice){path, len})) {
            vocabulary_replace_at(speech, path + len + (path[len] == '.'));
        } else {
            json_read(&speech->cursor, &skipped);
        }
    }
}

/* The value at the cursor is where the path begins; "" is a word itself. */
static void vocabulary_replace_at(struct speech *speech, const char *path) {
    enum json_type type;
    struct json_value skipped;
    if (!json_peek(&speech->cursor, &type)) {
        return;
    }
    if (type == JSON_ARRAY) {
        vocabulary_replace_in_list(speech, path);
    } else if (*path == '\0') {
        vocabulary_replace_word(speech);
    } else if (type == JSON_OBJECT) {
        vocabulary_replace_in_object(speech, path);
    } else {
        json_read(&speech->cursor, &skipped);
    }
}

struct answer *vocabulary_apply(struct answer *answer, const struct script_words *words,
                                const char *vocabulary) {
    struct speech speech = {.vocabulary = vocabulary_find(words, vocabulary)};
    if (!speech.vocabulary || answer->status != 200) {
        return answer;
    }
    struct slice body = answer->body;
    speech.copied = body.data;
    json_begin(&speech.cursor, body);
    vocabulary_replace_at(&speech, words->at);
    if (speech.cursor.error || speech.copied == body.data) {
        buffer_free(&speech.out);
        return answer;
    }
    buffer_append(&speech.out, speech.copied, (size_t)(body.data + body.len - speech.copied));
    struct answer *spoken = answer_create(answer->status, buffer_slice(&speech.out));
    buffer_free(&speech.out);
    answer_unref(answer);
    return spoken;
}
