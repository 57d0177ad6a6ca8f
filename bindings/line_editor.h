/* line_editor: lines from a terminal by libedit, with history and completion. One thread, one at a
 * time. Knows libedit and nothing of what the lines say. */
#ifndef AGG_BINDINGS_LINE_EDITOR_H
#define AGG_BINDINGS_LINE_EDITOR_H

#include <stdbool.h>
#include <stddef.h>

/* What a word that is being written may become. */
struct line_words {
    char **items; /* owned; sorted by who fills it */
    size_t count;
    size_t typed; /* bytes in front of the cursor that each item begins with */
};
void line_words_add(struct line_words *words, const char *word);
void line_words_free(struct line_words *words);

/* Fills words for a line of which `len` bytes stand in front of the cursor. */
typedef void (*line_complete)(void *context, const char *line, size_t len,
                              struct line_words *words);

struct line_editor;

/* history_path may be NULL: none is kept; its folder is there. NULL: standard input is no terminal
 * that can be edited on. */
struct line_editor *line_editor_open(const char *history_path, line_complete complete,
                                     void *context);
void line_editor_close(struct line_editor *editor);

enum line_result { LINE_READ, LINE_INTERRUPTED, LINE_END };
/* Shows the prompt and reads one line, without its end, valid until the next call. INTERRUPTED:
 * SIGINT came, and its handler returned. */
enum line_result line_editor_read(struct line_editor *editor, const char *prompt,
                                  const char **line);

#endif
