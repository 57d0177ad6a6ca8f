/* repl: `aggregator repl`. Has a line editor if standard input is a terminal. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "command.h"
#include "base/folders.h"
#include "repl/repl.h"
#include "script/script.h"

#define PROMPT "> "
#define PROMPT_MORE ">> "

static void command_repl_on_interrupt(int number) {
    (void)number;
    repl_interrupt();
}

/* Without SA_RESTART a signal ends the read of a line. */
static void command_repl_catch_interrupts(void) {
    struct sigaction action = {.sa_handler = command_repl_on_interrupt};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
}

/* ---- input -------------------------------------------------------------------------------- */

struct source {
    struct line_editor *editor; /* NULL: lines of a pipe or file */
    char *line;
    size_t cap;
    int number; /* of the line; 0 in a terminal */
};

static enum line_result command_repl_read_line(struct source *source, bool first,
                                               const char **line) {
    if (source->editor) {
        return line_editor_read(source->editor, first ? PROMPT : PROMPT_MORE, line);
    }
    ssize_t len = getline(&source->line, &source->cap, stdin);
    if (len < 0) {
        return LINE_END;
    }
    source->line[strcspn(source->line, "\r\n")] = '\0';
    *line = source->line;
    source->number++;
    return LINE_READ;
}

/* False: there is no home. */
static bool command_repl_find_history(char *path, size_t cap) {
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    struct err err = {0};
    if (state && state[0] == '/') {
        snprintf(path, cap, "%s/aggregator/history", state);
    } else if (home && home[0] == '/') {
        snprintf(path, cap, "%s/.local/state/aggregator/history", home);
    } else {
        return false;
    }
    if (!folders_make(path, 0700, NULL, &err)) {
        fprintf(stderr, "no history: %s\n", err.text);
        return false;
    }
    return true;
}

static void command_repl_open_editor(struct source *source, struct repl *repl) {
    char history[4096];
    bool kept = command_repl_find_history(history, sizeof history);
    source->editor = line_editor_open(kept ? history : NULL, repl_complete, repl);
    if (source->editor) {
        command_repl_catch_interrupts();
        puts("aggregator " AGGREGATOR_VERSION ": Postgres is read-only here; Tab completes, Ctrl-D "
             "ends, `aggregator repl --help` says more");
    }
}

static void command_repl_close_source(struct source *source) {
    if (source->editor) {
        puts("");
    }
    line_editor_close(source->editor);
    free(source->line);
}

/* ---- the loop ----------------------------------------------------------------------------- */

struct chunk {
    struct buffer text;
    int line; /* of its beginning */
};

/* Adds a line, and runs the chunk if it is complete. False: it failed. */
static bool command_repl_add_line(struct chunk *chunk, const struct source *source,
                                  const char *line, struct repl *repl) {
    if (chunk->text.len == 0) {
        chunk->line = source->number;
    }
    buffer_append_format(&chunk->text, "%s%s", chunk->text.len > 0 ? "\n" : "", line);
    enum repl_result result = repl_run(repl, chunk->text.data, chunk->line);
    if (result != REPL_INCOMPLETE) {
        buffer_clear(&chunk->text);
    }
    return result != REPL_FAILED;
}

/* False: a chunk failed. */
static bool command_repl_run_lines(struct source *source, struct repl *repl) {
    struct chunk chunk = {0};
    bool good = true;
    const char *line;
    enum line_result read;
    while ((read = command_repl_read_line(source, chunk.text.len == 0, &line)) != LINE_END) {
        if (read == LINE_INTERRUPTED) {
            puts("");
            buffer_clear(&chunk.text);
        } else {
            good = command_repl_add_line(&chunk, source, line, repl) && good;
        }
    }
    if (chunk.text.len > 0) {
        fprintf(stderr, "console:%d: the statement that begins here is incomplete\n", chunk.line);
        good = false;
    }
    buffer_free(&chunk.text);
    return good;
}

int command_repl(const struct command *command) {
    script_print_plainly();
    struct source source = {0};
    struct err err = {0};
    struct repl *repl = repl_create(command->config, &err);
    if (!repl) {
        fprintf(stderr, "aggregator: repl: %s\n", err.text);
        return 1;
    }
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
        command_repl_open_editor(&source, repl);
    }
    bool good = command_repl_run_lines(&source, repl) || source.editor;
    command_repl_close_source(&source);
    repl_destroy(repl);
    return good ? 0 : 1;
}
