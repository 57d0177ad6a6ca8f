/* err: why something failed. Filled once, where the failure is known; callers add context or pass
 * it up, and the place that decides logs it. */
#ifndef AGG_HOST_BASE_ERR_H
#define AGG_HOST_BASE_ERR_H

#include <stdbool.h>

enum err_kind {
    ERR_NONE,
    ERR_INPUT,       /* the caller's data, script or configuration is wrong: do not retry */
    ERR_UNAVAILABLE, /* an outside system is away, slow or overloaded: retry later */
    ERR_CONFLICT,    /* another process owns this partition now (offset fence) */
    ERR_TIMEOUT,     /* a deadline passed: the outcome may be unknown */
    ERR_BUSY,        /* this process has too much to do: retry later */
    ERR_INTERNAL,    /* a bug or an exhausted process */
};

#ifndef ERR_TEXT_CAP      /* spec/c/explore_cache.c has less */
#define ERR_TEXT_CAP 4096 /* some twenty problems of scripts: see problems.h */
#endif

struct err {
    enum err_kind kind;
    char sqlstate[6]; /* "" unless Postgres stated one */
    char text[ERR_TEXT_CAP];
};

/* Sets kind and text; an existing text is replaced. Always returns false, for `return err_set(…)`.
 */
bool err_set(struct err *err, enum err_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of the text. Always returns false. */
bool err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Makes it empty, without touching the rest of the text: for what runs once an event, where zeroing
 * all of it costs as much as reading a small event. */
void err_clear(struct err *err);

/* "unavailable", "input", … : a stable word for metrics labels. */
const char *err_kind_name(enum err_kind kind);

#endif
