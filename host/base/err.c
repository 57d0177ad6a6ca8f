#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "redact.h"

bool err_set(struct err *err, enum err_kind kind, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    err->kind = kind;
    err->sqlstate[0] = '\0';
    vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
    redact_text(err->text); /* it may quote a library or a server */
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
    switch (kind) {
    case ERR_NONE:
        return "none";
    case ERR_INPUT:
        return "input";
    case ERR_UNAVAILABLE:
        return "unavailable";
    case ERR_CONFLICT:
        return "conflict";
    case ERR_BUSY:
        return "busy";
    case ERR_TIMEOUT:
        return "timeout";
    case ERR_INTERNAL:
        return "internal";
    }
    return "internal";
}
