/* err: the reason of a failure. The function that fails fills it, callers add context, and the
 * caller that handles it logs it. */
#pragma once

#include <stdbool.h>

enum err_kind {
    ERR_NONE,
    ERR_INPUT,       /* the caller's data, script or configuration is wrong: do not retry */
    ERR_UNAVAILABLE, /* an outside system is down, slow or overloaded: retry later */
    ERR_CONFLICT,    /* another process owns this partition now (offset fence) */
    ERR_TIMEOUT,     /* a deadline passed: the outcome may be unknown */
    ERR_BUSY,        /* this process is overloaded: retry later */
    ERR_INTERNAL,    /* a bug or an exhausted process */
};

#ifndef ERR_TEXT_CAP      /* spec/c/explore_cache.c defines a smaller one */
#define ERR_TEXT_CAP 4096 /* about 20 problems of scripts: see problems.h */
#endif

struct err {
    enum err_kind kind;
    char sqlstate[6]; /* "" unless Postgres sent one */
    char text[ERR_TEXT_CAP];
};

/* Replaces kind and text. Returns false, for `return err_set(…)`. */
bool err_set(struct err *err, enum err_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Prepends "context: " to the text. Returns false. */
bool err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Empties it and leaves the bytes of the text: zeroing them once per event costs as much as reading
 * a small event. */
void err_clear(struct err *err);

/* "unavailable", "input", …: for metric labels. */
const char *err_kind_name(enum err_kind kind);
