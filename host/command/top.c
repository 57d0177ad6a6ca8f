/* top: what the running program does, once a second, on the terminal. Plain ANSI sequences
 * (ECMA-48, xterm's alternate screen) do without ncurses: the page is text that is written whole.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_put.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/stop.h"
#include "command.h"
#include "report.h"
#include "live.h"
#include "script/text_report.h"

#include "top_report.lua.h"

#define INTERVAL_US 1000000
#define LOOK_MS 200 /* for a new size of the terminal */
#define END_LIMIT_S 5
#define VIEWS "1234"

#define ENTER_SCREEN "\033[?1049h\033[?25l" /* the alternate screen, without the cursor */
#define LEAVE_SCREEN "\033[?25h\033[?1049l"
#define HOME "\033[H"
#define REST_OF_LINE "\033[K"
#define REST_OF_SCREEN "\033[J"

struct top {
    const char *socket;
    struct buffer before, now; /* samples; empty: none */
    struct err err;            /* of the newest question */
    int view;                  /* from 1 */
    int64_t sorts;             /* the column that sorts, modulo their number; 0: the name */
    bool paused, once;
};

/* ---- the terminal -------------------------------------------------------------------------- */

static struct termios top_cooked; /* valid while is_raw */
static bool is_raw;

/* Also at exit(3). */
static void top_restore_terminal(void) {
    if (is_raw) {
        is_raw = false;
        fputs(LEAVE_SCREEN, stdout);
        fflush(stdout);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &top_cooked);
    }
}

/* Keys arrive one by one and unseen. Ctrl-C stays a signal; Ctrl-Z and Ctrl-\ do nothing,
 * because the shell's terminal would stay in this mode. Lines of the log would end up in the page.
 */
static bool top_take_terminal(struct err *err) {
    if (tcgetattr(STDIN_FILENO, &top_cooked) != 0 || !isatty(STDOUT_FILENO)) {
        return err_set(err, ERR_INPUT,
                       "standard input and output must be a terminal; --once prints one page");
    }
    if (!live_terminal_obeys()) {
        const char *kind = getenv("TERM");
        return err_set(err, ERR_INPUT,
                       "this terminal (TERM=%s) cannot redraw; --once prints one page",
                       kind ? kind : "");
    }
    struct termios raw = top_cooked;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    raw.c_cc[VSUSP] = _POSIX_VDISABLE;
    raw.c_cc[VQUIT] = _POSIX_VDISABLE;
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) != 0) {
        return err_set(err, ERR_INTERNAL, "cannot set up the terminal");
    }
    is_raw = true;
    log_configure(LOG_ERROR, true);
    atexit(top_restore_terminal);
    fputs(ENTER_SCREEN, stdout);
    return true;
}

/* ---- the page ------------------------------------------------------------------------------ */

static void top_take_sample(struct top *top) {
    struct buffer oldest = top->before;
    top->before = top->now;
    top->now = oldest;
    err_clear(&top->err);
    if (!live_ask(top->socket, "sample", &top->now, &top->err)) {
        buffer_clear(&top->now);
        buffer_clear(&top->before);
    }
}

static void top_put_sample(struct buffer *json, const char *name, const struct buffer *sample) {
    json_put_name(json, name);
    if (sample->len > 0) {
        buffer_append(json, sample->data, sample->len);
    } else {
        buffer_append_text(json, "null");
    }
}

static bool top_compose(const struct top *top, FILE *out, struct err *err) {
    struct buffer json = {0};
    live_begin(&json);
    json_put_int(&json, "view", top->view);
    json_put_int(&json, "sorts", top->sorts);
    json_put_bool(&json, "paused", top->paused);
    json_put_bool(&json, "once", top->once);
    json_put_text(&json, "error", slice_of(top->err.kind == ERR_NONE ? NULL : top->err.text));
    top_put_sample(&json, "before", &top->before);
    top_put_sample(&json, "now", &top->now);
    buffer_append_text(&json, "}");
    bool ok = live_print("top_report", EMBEDDED(top_report_lua), &json, out, err) ||
              live_misread(top->socket, err);
    buffer_free(&json);
    return ok;
}

/* One write, so that a slow terminal shows no half of a page. */
static bool top_show(const struct top *top, struct err *err) {
    char *page = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&page, &len);
    bool ok = out && top_compose(top, out, err);
    if (out) {
        fclose(out);
    }
    if (ok) {
        struct buffer shown = {0};
        buffer_append_text(&shown, HOME);
        buffer_append_replaced(&shown, page, "\n", REST_OF_LINE "\n");
        buffer_append_text(&shown, REST_OF_LINE REST_OF_SCREEN);
        fwrite(shown.data, 1, shown.len, stdout);
        fflush(stdout);
        buffer_free(&shown);
    }
    free(page);
    return ok;
}

/* ---- the loop ------------------------------------------------------------------------------ */

/* False: quit. */
static bool top_obey(struct top *top, char key) {
    const char *view = key ? strchr(VIEWS, key) : NULL;
    if (view) {
        top->view = (int)(view - VIEWS) + 1;
    } else if (key == 'p' || key == ' ') {
        top->paused = !top->paused;
    } else if (key == 's') {
        top->sorts++;
    }
    return key != 'q' && key != '\x04';
}

/* Until it is time for a sample, a key is pressed or the size changes. False: quit. */
static bool top_wait(struct top *top, int64_t until_us) {
    struct live_size size = live_terminal_size(), now = size;
    struct pollfd fds[2] = {{STDIN_FILENO, POLLIN, 0}, {stop_fd(), POLLIN, 0}};
    while (!stop_requested() && now.columns == size.columns && now.rows == size.rows) {
        int left_ms = clock_remaining_ms(until_us);
        if (left_ms <= 0) {
            return true;
        }
        if (poll(fds, 2, left_ms < LOOK_MS ? left_ms : LOOK_MS) > 0 && fds[0].revents) {
            char key = 0;
            return read(STDIN_FILENO, &key, 1) == 1 && top_obey(top, key);
        }
        now = live_terminal_size();
    }
    return !stop_requested();
}

static bool top_run(struct top *top, struct err *err) {
    int64_t due_us = clock_monotonic_us();
    bool ok = true;
    do {
        if (clock_monotonic_us() >= due_us) {
            due_us = clock_monotonic_us() + INTERVAL_US;
            if (!top->paused) {
                top_take_sample(top);
            }
        }
        ok = top_show(top, err);
    } while (ok && top_wait(top, due_us));
    return ok && !stop_requested();
}

/* Two samples, a second apart, so that there are rates. */
static bool top_print_once(struct top *top, struct err *err) {
    top_take_sample(top);
    struct pollfd stop = {stop_fd(), POLLIN, 0};
    if (top->now.len > 0 && poll(&stop, 1, INTERVAL_US / 1000) == 0) {
        top_take_sample(top);
    }
    if (top->now.len == 0) {
        *err = top->err;
        return false;
    }
    return !stop_requested() && top_compose(top, stdout, err);
}

int command_top(const struct command *command) {
    struct top top = {.socket = command->socket, .view = 1, .sorts = 1, .once = command->once};
    struct err err = {0};
    bool ok =
        signals_listen(false, END_LIMIT_S, &err) &&
        (top.once ? top_print_once(&top, &err) : top_take_terminal(&err) && top_run(&top, &err));
    top_restore_terminal();
    if (err.kind != ERR_NONE) {
        command_report(command, "top", &err);
    }
    buffer_free(&top.before);
    buffer_free(&top.now);
    return ok ? 0 : 1;
}
