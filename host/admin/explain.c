#include "explain.h"

#define OPTIONS_MAX 8
#define WORDS_MAX 2

int admin_explain(struct admin_child *explain, const struct admin_request *request,
                  struct buffer *json) {
    struct slice options[OPTIONS_MAX] = {slice_of("--json")}, words[WORDS_MAX];
    size_t option_count = 1, word_count = 0;
    for (size_t i = 0; i < request->query_count && option_count + 2 <= OPTIONS_MAX; i++) {
        const struct script_pair *pair = &request->query[i];
        bool table = slice_equal(pair->name, slice_of("table"));
        if (!table && !slice_equal(pair->name, slice_of("since"))) {
            return admin_fail(json, 400, slice_of("unknown parameter: send table or since"));
        }
        options[option_count++] = slice_of(table ? "--table" : "--since");
        options[option_count++] = pair->value;
    }
    while (word_count < request->param_count && word_count < WORDS_MAX) {
        words[word_count] = request->params[word_count].value;
        word_count++;
    }
    struct buffer output = {0};
    int status = admin_child_run(explain, options, option_count, words, word_count, &output, json);
    if (status == 200) {
        buffer_append_slice(json, buffer_slice(&output));
    }
    buffer_free(&output);
    return status;
}
