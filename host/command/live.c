#include "live.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "admin/socket.h"
#include "base/json_put.h"
#include "base/json_scan.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "script/text_report.h"

#include "report_text.lua.h"

#define ANSWER_TIMEOUT_MS 30000

bool live_ask(const char *socket, const char *verb, struct buffer *answer, struct err *err) {
    struct json_cursor cursor;
    struct json_value key, text;
    bool more;
    buffer_clear(answer);
    if (!admin_call(socket, verb, ANSWER_TIMEOUT_MS, answer, err)) {
        return false;
    }
    json_begin(&cursor, buffer_slice(answer));
    if (!json_enter(&cursor) || !json_next_member(&cursor, &key, &more) || !more ||
        !slice_equal(key.raw, slice_of("error")) || !json_read(&cursor, &text) ||
        text.type != JSON_STRING) {
        return true;
    }
    char *said = xcalloc(text.raw.len + 1, 1);
    json_unescape(&text, said);
    err_set(err, ERR_INPUT, "%s", said);
    free(said);
    return false;
}

bool live_misread(const char *socket, struct err *err) {
    log_debug("an answer of the program cannot be shown", LOG_TEXT("error", err->text));
    return admin_misunderstand(socket, err);
}

struct live_size live_terminal_size(void) {
    struct winsize size = {0};
    if (!isatty(STDOUT_FILENO)) {
        return (struct live_size){0};
    }
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
    return known ? (struct live_size){size.ws_col, size.ws_row} : (struct live_size){80, 24};
}

bool live_terminal_obeys(void) {
    const char *kind = getenv("TERM");
    return isatty(STDOUT_FILENO) && kind && kind[0] && strcmp(kind, "dumb") != 0;
}

static bool live_has_colours(void) {
    const char *none = getenv("NO_COLOR");
    return live_terminal_obeys() && !(none && none[0]);
}

void live_begin(struct buffer *json) {
    struct live_size size = live_terminal_size();
    buffer_append_text(json, "{");
    json_put_int(json, "columns", size.columns);
    json_put_int(json, "rows", size.rows);
    json_put_bool(json, "colour", live_has_colours());
}

bool live_print(const char *name, struct slice chunk, const struct buffer *json, FILE *out,
                struct err *err) {
    struct text_report report = {.name = name,
                                 .chunk = chunk,
                                 .helpers = {EMBEDDED(report_text_lua)},
                                 .json = buffer_slice(json)};
    return text_report_print(&report, out, err);
}
