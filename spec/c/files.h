/* files: writes the files of a test. */
#pragma once

#include <stdio.h>

#include "test.h"

static inline void write_path(const char *path, const char *text) {
    FILE *file = fopen(path, "we");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* The name is relative to the folder. */
static inline void write_in(const char *folder, const char *name, const char *text) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    write_path(path, text);
}
