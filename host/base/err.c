#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redact.h"
#include "xalloc.h"

/* The text is redacted before it is cut: half a secret would not be found. */
static void err_cut(struct err *err, size_t len, const char *format, va_list arguments) {
    char *whole = xcalloc(1, len + 1);
    vsnprintf(whole, len + 1, format, arguments);
    redact_text(whole);
    snprintf(err->text, sizeof err->text, "%s", whole);
    explicit_bzero(whole, len + 1);
    free(whole);
}

bool err_set(struct err *err, enum err_kind kind, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    err->kind = kind;
    err->sqlstate[0] = '\0';
    int len = vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
    if (len >= (int)sizeof err->text) {
        err_cut(err, (size_t)len, format, again);
    } else {
        redact_text(err->text); /* libraries and servers may quote secrets */
    }
    va_end(again);
    return false;
}

bool err_wrap(struct err *err, const char *format, ...) {
    char inner[sizeof err->text];
    memcpy(inner, err->text, sizeof inner);
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
    if (len >= 0 && (size_t)len < sizeof err->text) {
        int room = (int)sizeof err->text - len;
        snprintf(err->text + len, (size_t)room, ": %.*s", room > 3 ? room - 3 : 0, inner);
    }
    return false;
}

void err_clear(struct err *err) {
    err->kind = ERR_NONE;
    err->sqlstate[0] = '\0';
    err->text[0] = '\0';
}

const char *err_kind_name(enum err_kind kind) {
    static const char *const names[] = {
        [ERR_NONE] = "none",         [ERR_INPUT] = "input",     [ERR_UNAVAILABLE] = "unavailable",
        [ERR_CONFLICT] = "conflict", [ERR_TIMEOUT] = "timeout", [ERR_BUSY] = "busy",
        [ERR_INTERNAL] = "internal"};
    return names[kind];
}
