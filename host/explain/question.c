/* question: what the words of the command select: text columns that may hold the id, an event, or a
 * message of the outbox and with it the key that it was made of. */
#include "base/uuid.h"
#include "explain.h"

/* No word names all key columns. */
static bool question_names_key(const char *word, const struct view_column *key) {
    size_t len = word ? strlen(word) : 0;
    return view_is_tag(key->type) && (!word || (strncmp(key->name, word, len) == 0 &&
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
                    view->tables[t].name, key->name, t, SCRIPT_FOLLOWS_KEY, i, key->type};
            }
        }
    }
}

/* The names of all tables, or of their first key columns, each once, for an error; the caller frees
 * it. */
static struct buffer question_list(const struct view *view, bool keys) {
    struct buffer names = {0};
    for (size_t t = 0; t < view->table_count; t++) {
        const char *key = view->tables[t].key[0].name;
        size_t same = 0;
        while (strcmp(view->tables[same].key[0].name, key) != 0) {
            same++;
        }
        if (!keys || same == t) {
            buffer_append_format(&names, "%s%s", t ? ", " : "", keys ? key : view->tables[t].name);
        }
    }
    return names;
}

static bool question_refuse_word(const struct explanation *explanation, struct err *err) {
    const char *word = explanation->options.word;
    struct buffer keys = question_list(explanation->view, true);
    err_set(
        err, ERR_INPUT,
        "no key column is called %s or %s_…; say event, outbox, or one of the tables' first key "
        "columns: %s",
        word, word, keys.data);
    buffer_free(&keys);
    return false;
}

static bool question_check_table(const struct explanation *explanation, struct err *err) {
    const char *table = explanation->options.table;
    for (size_t t = 0; t < explanation->view->table_count; t++) {
        if (!table || strcmp(table, explanation->view->tables[t].name) == 0) {
            return true;
        }
    }
    struct buffer tables = question_list(explanation->view, false);
    err_set(err, ERR_INPUT, "the view has no table %s; it has: %s", table, tables.data);
    buffer_free(&tables);
    return false;
}

/* Explains what the message was made of. */
static bool question_read_message(struct explanation *explanation, struct err *err) {
    struct explain_question *question = &explanation->question;
    const struct explain_message *message = &question->message;
    if (!explain_find_message(explanation, err)) {
        return false;
    }
    /* Messages of early releases have no `about`: their key is most often the same. */
    question->id = message->about.data ? message->about.data : message->key.data;
    int reaction = script_reaction_of(explanation->generation,
                                      message->source.data ? message->source.data : "");
    if (reaction < 0) {
        question->by_event = uuid_read(slice_of(question->id), question->event_id);
        return true;
    }
    size_t count;
    const struct script_reaction *of =
        &script_generation_reactions(explanation->generation, &count)[reaction];
    question->columns = of->follows;
    question->column_count = of->follow_count;
    question->reaction = (size_t)reaction;
    explain_add_reacted(explanation, question->reaction, slice_of(question->id));
    return true;
}

bool explain_check_id(const struct explanation *explanation, struct err *err) {
    const struct view *view = explanation->view;
    const char *id = explanation->options.id;
    if (explanation->options.word) {
        return true;
    }
    bool is_word = strcmp(id, "outbox") == 0 || strcmp(id, "event") == 0;
    for (size_t t = 0; t < view->table_count; t++) {
        for (size_t i = 0; i < view->tables[t].key_count; i++) {
            is_word = is_word || question_names_key(id, &view->tables[t].key[i]);
        }
    }
    return !is_word || err_set(err, ERR_INPUT, "%s needs ID: `aggregator explain %s ID`", id, id);
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
           err_set(err, ERR_INPUT, "%s is no event id: an event id is a UUID", question->id);
}
