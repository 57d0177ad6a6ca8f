/* declarations: a folder of scripts whose files a test writes, and the error of loading them. */
#pragma once

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "scripts.h"

static char folder[] = "/tmp/aggregator-declarations.XXXXXX";
static struct err err;

static const char good_view[] = "return { { name = 't', key = { { 'id', 'text' } }, groups = {"
                                "{ name = 'g', rule = 'latest', columns = {} } } } }";
static const char good_handler[] =
    "return { topics = { 'a' }, fields = {}, handle = function() end }";
static const char good_route[] = "return { path = '/', handle = function() end }";

static inline void write_file(const char *name, const char *text) {
    write_in(folder, name, text);
}

static inline void make_folder(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    mkdir(path, 0700);
}

static inline void remove_files(void) {
    static const char *const names[] = {
        "envelope.lua",      "view.lua",  "handlers/h.lua", "routes/r.lua", "reactions/a.lua",
        "queries/facts.sql", "reactions", "handlers",       "routes",       "queries"};
    char path[256];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    rmdir(folder);
}

/* Once; the folder goes when the program ends. */
static inline void make_folders(void) {
    static bool made;
    if (!made) {
        made = mkdtemp(folder) != NULL;
        CHECK(made);
        atexit(remove_files);
        make_folder("handlers");
        make_folder("routes");
        make_folder("reactions");
        make_folder("queries");
    }
}

static inline void remove_file(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK(remove(path) == 0);
}

static inline void load_all(void) {
    struct config config = {.refs = 1, .http.api_key_header = "X-Key"};
    config.scripts.root = config.scripts.sql = folder;
    config.scripts.memory_limit_mb = 16;
    config.postgres.url = config.redis.url = "";
    err_clear(&err);
    script_generation_unref(script_generation_load(&config, 1, &err));
}

/* The error of loading scripts of which one file has this text, or "". */
static inline const char *error_with(const char *name, const char *text) {
    make_folders();
    write_file("envelope.lua", SCRIPTS_ENVELOPE);
    write_file("view.lua", good_view);
    write_file("handlers/h.lua", good_handler);
    write_file("routes/r.lua", good_route);
    if (name) {
        write_file(name, text);
    }
    load_all();
    return err.text;
}

static inline void refuses(const char *name, const char *text, const char *wanted) {
    const char *got = error_with(name, text);
    size_t skip = strlen(folder) + 1;
    if (strncmp(got, folder, strlen(folder)) != 0) {
        skip = 0;
    }
    CHECK_TEXT(strlen(got) > skip ? got + skip : got, wanted);
}
