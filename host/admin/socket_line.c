#include "socket_line.h"

static struct slice socket_line_cut_word(struct slice *line) {
    const char *blank = memchr(line->data, ' ', line->len);
    size_t len = blank ? (size_t)(blank - line->data) : line->len;
    struct slice word = {line->data, len};
    line->data += len + (blank != NULL);
    line->len -= len + (blank != NULL);
    return word;
}

bool admin_words_split(struct slice line, struct admin_words *words) {
    *words = (struct admin_words){.verb = socket_line_cut_word(&line)};
    while (line.len > 0) {
        struct slice word = socket_line_cut_word(&line);
        const char *equals = memchr(word.data, '=', word.len);
        size_t name_len = equals ? (size_t)(equals - word.data) : 0;
        if (words->query_count == ADMIN_WORDS_MAX || words->param_count == ADMIN_WORDS_MAX) {
            return false;
        }
        if (equals) {
            words->query[words->query_count++] =
                (struct script_pair){{word.data, name_len}, {equals + 1, word.len - name_len - 1}};
        } else if (word.len > 0) {
            words->params[words->param_count++] = (struct script_pair){slice_of("word"), word};
        }
    }
    return true;
}
