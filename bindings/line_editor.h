/* line_editor: reads lines from a terminal with libedit, history and completion. One thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Completions of the word before the cursor. */
struct line_words {
    char **items; /* owned, sorted */
    size_t count;
    size_t typed; /* bytes before the cursor that each item starts with */
};
void line_words_add(struct line_words *words, const char *word);

/* Adds the completions; `len` bytes of the line are before the cursor. */
typedef void (*line_complete)(void *context, const char *line, size_t len,
                              struct line_words *words);

struct line_editor;

/* history_path NULL: no history; its folder must exist. NULL: the terminal is unsuitable. */
struct line_editor *line_editor_open(const char *history_path, line_complete complete,
                                     void *context);
void line_editor_close(struct line_editor *editor);

enum line_result { LINE_READ, LINE_INTERRUPTED, LINE_END };
/* Prompts and reads one line without its line end, valid until the next call. LINE_INTERRUPTED: the
 * handler of SIGINT has returned. */
enum line_result line_editor_read(struct line_editor *editor, const char *prompt,
                                  const char **line);
