/* show: the settings as JSON, each with its source; secrets are hidden. */
#pragma once

#include "base/buffer.h"
#include "config.h"

struct config_view {
    const struct config *config;
    const struct config *disk; /* what a reload or restart would apply; NULL: not compared */
    const char *disk_error;    /* why it cannot be read; NULL: none */
    struct slice only;         /* "http.port" or "http"; "": all */
    bool changed;              /* without the settings that have their defaults */
    bool plain;                /* secrets are not hidden, paths are absolute: config_of_settings */
};

/* Appends an object with `files`, `settings` and `warnings`. False: `only` names nothing. */
bool config_show(const struct config_view *view, struct buffer *json, struct err *err);

/* The settings of such an object, of a running program (`plain`). NULL: err. */
struct config *config_of_settings(struct slice json, struct err *err);
