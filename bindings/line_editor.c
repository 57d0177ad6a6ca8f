#include "line_editor.h"

#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "base/xalloc.h"

#define HISTORY_LINES 1000
#define MAX_LISTED 200

struct line_editor {
    EditLine *edit;
    History *history;
    char *history_path;
    const char *prompt;
    char *line;
    bool interrupted; /* the read under way */
    line_complete complete;
    void *context;
};

/* ---- words -------------------------------------------------------------------------------- */

void line_words_add(struct line_words *words, const char *word) {
    words->items = xrealloc(words->items, (words->count + 1) * sizeof *words->items);
    words->items[words->count++] = xstrdup(word);
}

static void line_editor_free_words(struct line_words *words) {
    for (size_t i = 0; i < words->count; i++) {
        free(words->items[i]);
    }
    free(words->items);
    *words = (struct line_words){0};
}

/* Length of the common prefix. */
static size_t line_editor_common_len(const struct line_words *words) {
    size_t len = strlen(words->items[0]);
    for (size_t i = 1; i < words->count; i++) {
        size_t same = 0;
        while (same < len && words->items[i][same] == words->items[0][same]) {
            same++;
        }
        len = same;
    }
    return len;
}

static void line_editor_list_words(EditLine *edit, const struct line_words *words) {
    FILE *out = stdout;
    (void)el_get(edit, EL_GETFP, 1, &out);
    fputc('\n', out);
    for (size_t i = 0; i < words->count && i < MAX_LISTED; i++) {
        fprintf(out, "%s%s", i ? "  " : "", words->items[i]);
    }
    fputs(words->count > MAX_LISTED ? "  …\n" : "\n", out);
}

/* ---- libedit's callbacks ------------------------------------------------------------------ */

static struct line_editor *line_editor_of(EditLine *edit) {
    struct line_editor *editor = NULL;
    (void)el_get(edit, EL_CLIENTDATA, &editor);
    return editor;
}

static char *line_editor_show_prompt(EditLine *edit) {
    return (char *)line_editor_of(edit)->prompt;
}

/* SIGINT is blocked except here, so that libedit never misses one. False: it arrived. */
static bool line_editor_wait_input(void) {
    struct pollfd fd = {STDIN_FILENO, POLLIN, 0};
    sigset_t mask;
    (void)sigprocmask(SIG_SETMASK, NULL, &mask);
    sigdelset(&mask, SIGINT);
    return ppoll(&fd, 1, NULL, &mask) > 0;
}

/* 1: a character; 0: end of file; -1: none. Skips NUL: the terminal sends it for a Ctrl-D typed
 * before libedit set its modes, and libedit would then quote the next character. */
static int line_editor_read_char(EditLine *edit, wchar_t *out) {
    mbstate_t state = {0};
    size_t len;
    do {
        char byte;
        if (!line_editor_wait_input()) {
            line_editor_of(edit)->interrupted = true;
            return -1;
        }
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got <= 0) {
            return (int)got;
        }
        len = mbrtowc(out, &byte, 1, &state);
    } while (len == 0 || len == (size_t)-2); /* the sequence is not yet whole */
    *out = len == (size_t)-1 ? L'?' : *out;
    return 1;
}

static unsigned char line_editor_complete(EditLine *edit, int key) {
    const struct line_editor *editor = line_editor_of(edit);
    const LineInfo *info = el_line(edit);
    struct line_words words = {0};
    unsigned char todo = CC_REFRESH_BEEP;
    (void)key;
    editor->complete(editor->context, info->buffer, (size_t)(info->cursor - info->buffer), &words);
    size_t common = words.count > 0 ? line_editor_common_len(&words) : 0;
    if (common > words.typed) {
        char *rest = xstrndup(words.items[0] + words.typed, common - words.typed);
        todo = el_insertstr(edit, rest) == 0 ? CC_REFRESH : CC_ERROR;
        free(rest);
    } else if (words.count > 1) {
        line_editor_list_words(edit, &words);
        todo = CC_REDISPLAY;
    }
    line_editor_free_words(&words);
    return todo;
}

/* ---- an editor ---------------------------------------------------------------------------- */

/* Without a locale libedit takes bytes past ASCII for control characters. */
static void line_editor_set_locale(void) {
    const char *name = setlocale(LC_CTYPE, "");
    if (!name || strcmp(name, "C") == 0 || strcmp(name, "POSIX") == 0) {
        (void)setlocale(LC_CTYPE, "C.UTF-8");
    }
}

static void line_editor_open_history(struct line_editor *editor, const char *path) {
    HistEvent event;
    editor->history = history_init();
    if (!editor->history) {
        return;
    }
    (void)history(editor->history, &event, H_SETSIZE, HISTORY_LINES);
    (void)history(editor->history, &event, H_SETUNIQUE, 1);
    (void)el_set(editor->edit, EL_HIST, history, editor->history);
    if (path) {
        editor->history_path = xstrdup(path);
        (void)history(editor->history, &event, H_LOAD, path); /* the file may be missing */
    }
}

struct line_editor *line_editor_open(const char *history_path, line_complete complete_line,
                                     void *context) {
    line_editor_set_locale();
    EditLine *edit = el_init("aggregator", stdin, stdout, stderr);
    if (!edit) {
        return NULL;
    }
    struct line_editor *editor = xcalloc(1, sizeof *editor);
    *editor = (struct line_editor){.edit = edit, .complete = complete_line, .context = context};
    (void)el_set(edit, EL_CLIENTDATA, editor);
    (void)el_set(edit, EL_PROMPT, line_editor_show_prompt);
    (void)el_set(edit, EL_GETCFN, line_editor_read_char);
    (void)el_set(edit, EL_EDITOR, "emacs");
    /* el_wset: el_set would leak copies of the strings */
    (void)el_wset(edit, EL_ADDFN, L"complete", L"Complete the name", line_editor_complete);
    (void)el_set(edit, EL_BIND, "^I", "complete", NULL);
    line_editor_open_history(editor, history_path);
    (void)el_source(edit, NULL); /* ~/.editrc, if there is one */
    return editor;
}

void line_editor_close(struct line_editor *editor) {
    if (!editor) {
        return;
    }
    el_end(editor->edit);
    if (editor->history) {
        history_end(editor->history);
    }
    free(editor->history_path);
    free(editor->line);
    free(editor);
}

/* Saves after each line: a console may be killed. */
static void line_editor_remember(struct line_editor *editor) {
    HistEvent event;
    if (!editor->history || editor->line[strspn(editor->line, " \t")] == '\0') {
        return;
    }
    (void)history(editor->history, &event, H_ENTER, editor->line);
    if (editor->history_path) {
        (void)history(editor->history, &event, H_SAVE, editor->history_path);
    }
}

/* Blocks SIGINT except in line_editor_wait_input. */
static const char *line_editor_read_text(struct line_editor *editor) {
    sigset_t blocked, before;
    int len = 0;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &blocked, &before);
    editor->interrupted = false;
    const char *text = el_gets(editor->edit, &len);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return len > 0 ? text : NULL;
}

enum line_result line_editor_read(struct line_editor *editor, const char *prompt,
                                  const char **line) {
    editor->prompt = prompt;
    const char *text = line_editor_read_text(editor);
    if (!text) {
        return editor->interrupted ? LINE_INTERRUPTED : LINE_END;
    }
    free(editor->line);
    editor->line = xstrndup(text, strcspn(text, "\r\n"));
    line_editor_remember(editor);
    *line = editor->line;
    return LINE_READ;
}
