/* question: what the words of an explanation ask for: text columns in which the id may stand, an
 * event, or a message of the outbox and with it the key that it was made of. */
#include "base/uuid.h"
#include "explain.h"

/* True where the word (or any, without one) names this key column. */
static bool question_names_key(const char *word, const struct view_column *key) {
    size_t len = word ? strlen(word) : 0;
    return key->type == VIEW_TEXT && (!word || (strncmp(key->name, word, len) == 0 &&
                                                (key->name[len] == '\0' || key->name[len] == '_')));
}

static void question_add_keys(struct explanation *explanation) {
    const struct view *view = explanation->view;
    struct explain_question *question = &explanation->question;
    struct script_follow *columns =
        arena_alloc(explanation->arena, (view->table_count + 1) * VIEW_MAX_KEY * sizeof *columns);
    question->columns = columns;
    for (size_t t = 0; t < view->table_count; t++) {
        for (size_t i = 0; i < view->tables[t].key_count; i++) {
            const struct view_column *key = &view->tables[t].key[i];
            if (question_names_key(explanation->options.word, key)) {
                columns[question->column_count++] = (struct script_follow){
                    view->tables[t].name, key->name, t, SCRIPT_FOLLOWS_KEY, i};
            }
        }
    }
}

static bool question_refuse_word(const struct explanation *explanation, struct err *err) {
    const struct view *view = explanation->view;
    const char *word = explanation->options.word;
    struct buffer words = {0};
    for (size_t t = 0; t < view->table_count; t++) {
        buffer_append_format(&words, "%s%s", t ? ", " : "", view->tables[t].key[0].name);
    }
    err_set(err, ERR_INPUT,
            "no key column is called %s or %s_…; the tables' first ones: %s; further words: event, "
            "outbox",
            word, word, words.data);
    buffer_free(&words);
    return false;
}

static bool question_check_table(const struct explanation *explanation, struct err *err) {
    const struct view *view = explanation->view;
    const char *table = explanation->options.table;
    struct buffer tables = {0};
    bool found = !table;
    for (size_t t = 0; t < view->table_count; t++) {
        found = found || strcmp(table, view->tables[t].name) == 0;
        buffer_append_format(&tables, "%s%s", t ? ", " : "", view->tables[t].name);
    }
    if (!found) {
        err_set(err, ERR_INPUT, "the view has no table %s; it has: %s", table, tables.data);
    }
    buffer_free(&tables);
    return found;
}

/* The message's reaction, as an index; SIZE_MAX: the scripts have none of that name. */
static size_t question_find_reaction(const struct explanation *explanation, struct slice name) {
    size_t count;
    const struct script_reaction *reactions =
        script_generation_reactions(explanation->generation, &count);
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(slice_of(reactions[i].name), name)) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* What made the message is asked for instead of the message. */
static bool question_read_message(struct explanation *explanation, struct err *err) {
    struct explain_question *question = &explanation->question;
    const struct explain_fact *message;
    if (!explain_find_message(explanation, err)) {
        return false;
    }
    message = explanation->asked_for;
    /* One of a release that did not keep what it is about: its key is that more often than not. */
    question->id = message->about.data ? message->about.data : message->key.data;
    size_t reaction = question_find_reaction(explanation, message->source), count;
    if (reaction < SIZE_MAX) {
        const struct script_reaction *of =
            &script_generation_reactions(explanation->generation, &count)[reaction];
        question->columns = of->follows;
        question->column_count = of->follow_count;
        explain_add_reacted(explanation, reaction, slice_of(question->id));
    } else {
        question->by_event = uuid_read(slice_of(question->id), question->event_id);
    }
    question->reaction = reaction;
    return true;
}

bool explain_read_question(struct explanation *explanation, struct err *err) {
    struct explain_question *question = &explanation->question;
    const char *word = explanation->options.word;
    *question = (struct explain_question){.id = explanation->options.id, .reaction = SIZE_MAX};
    if (!question_check_table(explanation, err)) {
        return false;
    }
    question_add_keys(explanation);
    if (word && question->column_count == 0 && strcmp(word, "outbox") == 0) {
        return question_read_message(explanation, err);
    }
    bool event = word && question->column_count == 0 && strcmp(word, "event") == 0;
    if (word && question->column_count == 0 && !event) {
        return question_refuse_word(explanation, err);
    }
    question->in_lists = !event;
    question->by_event = (event || !word) && uuid_read(slice_of(question->id), question->event_id);
    return !event || question->by_event ||
           err_set(err, ERR_INPUT, "%s is no event id: a UUID", question->id);
}
