/* config_file: loads configurations from texts. A program of cases runs at the project's root. */
#pragma once

#include <unistd.h>

#include "base/xalloc.h"
#include "config/config.h"
#include "test.h"

/* What the file reads: unset, so that a case means the same everywhere. */
static const char *const variables[] = {"SERVICE_NAME",
                                        "PORT",
                                        "HOST",
                                        "HULEEDU_INTERNAL_API_KEY",
                                        "HULEEDU_INTERNAL_API_KEY_FILE",
                                        "INTERNAL_API_KEY",
                                        "ALLOWED_SERVICE_IDS",
                                        "REDIS_URL",
                                        "CACHE_ENABLED",
                                        "LOG_LEVEL",
                                        "LOG_FORMAT",
                                        "KAFKA_AUTO_OFFSET_RESET",
                                        "REDIS_CACHE_TTL_SECONDS",
                                        "DATABASE_URL",
                                        "SERVICE_DATABASE_URL",
                                        "RESULT_AGGREGATOR_SERVICE_DATABASE_URL",
                                        "HULEEDU_DB_USER",
                                        "HULEEDU_DB_PASSWORD",
                                        "HULEEDU_PROD_DB_HOST",
                                        "HULEEDU_PROD_DB_PORT",
                                        "HULEEDU_PROD_DB_PASSWORD",
                                        "RESULT_AGGREGATOR_SERVICE_DB_HOST",
                                        "RESULT_AGGREGATOR_SERVICE_DB_PORT",
                                        "ENV_TYPE",
                                        "ENVIRONMENT",
                                        "SERVICE_VERSION",
                                        "HEALTHZ_NEEDS_DATABASE",
                                        "SCRIPTS_ROOT",
                                        "INGEST_WORKERS",
                                        "KAFKA_SESSION_TIMEOUT_MS"};

static struct err err;
static char path[] = "/tmp/test_config.XXXXXX";
#define FULL "spec/fixtures/config/full.lua"
static char *shipped; /* the text of FULL: the config.lua of an earlier release, with every key */

static inline char *read_file(const char *name) {
    char *text = calloc(1, 65536);
    FILE *file = fopen(name, "r");
    if (file) {
        CHECK(fread(text, 1, 65535, file) > 0);
        fclose(file);
    }
    return text;
}

static inline void write_text(const char *text) {
    FILE *file = fopen(path, "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static inline struct config *load(const char *text) {
    write_text(text);
    return config_load(path, &err);
}

/* The shipped file with the first `from` replaced. */
static inline char *with(const char *from, const char *to) {
    const char *at = strstr(shipped, from);
    if (!at) {
        TEST_FAIL(FULL " has no \"%s\"", from);
        return xstrdup(shipped);
    }
    char *text = calloc(1, strlen(shipped) + strlen(to) + 1);
    memcpy(text, shipped, (size_t)(at - shipped));
    strcat(text, to);
    strcat(text, at + strlen(from));
    return text;
}

static inline int line_at(const char *text, const char *part) {
    const char *at = strstr(text, part);
    int line = 1;
    CHECK(at != NULL);
    for (const char *c = text; at && c < at; c++) {
        line += *c == '\n';
    }
    return line;
}

/* With `from` replaced by `to` the file is refused with "path:LINE: KEY: …what…". */
static inline void refuses(const char *from, const char *to, const char *key, const char *what) {
    char *text = with(from, to), prefix[256];
    struct config *config = load(text);
    if (config) {
        TEST_FAIL("accepted %s", to);
    }
    config_unref(config);
    snprintf(prefix, sizeof prefix, "%s:%d: %s: ", path, line_at(text, to), key);
    if (strncmp(err.text, prefix, strlen(prefix)) != 0 || !strstr(err.text, what)) {
        TEST_FAIL("\"%s\", want \"%s…%s\"", err.text, prefix, what);
    }
    CHECK_INT(err.kind, ERR_INPUT);
    free(text);
}

static inline void unset_all(void) {
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        unsetenv(variables[i]);
    }
}

static char base_path[] = "/tmp/test_config_base.XXXXXX";

static inline void write_base(const char *text) {
    FILE *file = fopen(base_path, "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* Loads `return { extends = BASE, …rest… }`; the base has the text. */
static inline struct config *load_over(const char *base, const char *rest) {
    char text[1024];
    write_base(base);
    snprintf(text, sizeof text, "return { extends = \"%s\",\n%s }", base_path, rest);
    return load(text);
}

static inline int config_file_run(const struct test_case *cases, size_t count, int argc,
                                  char **argv) {
    unset_all();
    close(mkstemp(path));
    close(mkstemp(base_path));
    shipped = read_file(FULL);
    int status = test_run(cases, count, argc, argv);
    free(shipped);
    unlink(path);
    unlink(base_path);
    return status;
}

#define CONFIG_TEST_MAIN(cases)                                                                    \
    int main(int argc, char **argv) {                                                              \
        return config_file_run(cases, sizeof(cases) / sizeof *(cases), argc, argv);                \
    }
