/* config: the shipped file loads, the environment overrides it, secrets stay secret. */
#include <sys/stat.h>

#include "config_file.h"

static void the_shipped_file_loads(void) {
    struct config *config = config_load("config.lua", &err);
    CHECK_OK(config != NULL, &err);
    if (config) {
        CHECK_INT(config->http.port, 4003);
        CHECK_INT(config->http.allowed_services.count, 3);
        CHECK_INT(config->http.api_keys.count, 0);
        CHECK_INT(config->http.vocabularies.count, 2);
        CHECK_TEXT(config->scripts.root, "scripts");
        CHECK_TEXT(config->redis.url, "redis://localhost:6379");
        CHECK_TEXT(config->log.level, "info");
        CHECK_INT(config->cache.enabled, 1);
    }
    config_unref(config);
}

static void headers_have_names_where_the_file_gives_none(void) {
    char *text = with("api_key_header = \"X-Internal-API-Key\",", "");
    struct config *config = load(text);
    CHECK_OK(config != NULL, &err);
    CHECK_TEXT(config ? config->http.api_key_header : "", "X-Internal-API-Key");
    CHECK_TEXT(config ? config->http.correlation_id_header : "", "X-Correlation-ID");
    config_unref(config);
    free(text);
}

static void folders_lie_beside_the_file(void) {
    struct config *config = load(shipped);
    CHECK_OK(config != NULL, &err);
    CHECK_TEXT(config ? config->scripts.sql : "", "/tmp/sql");
    CHECK_TEXT(config ? config->scripts.specs : "none", "");
    config_unref(config);
    setenv("SCRIPTS_ROOT", "/elsewhere/scripts", 1);
    config = load(shipped);
    CHECK_TEXT(config ? config->scripts.root : "", "/elsewhere/scripts");
    config_unref(config);
    unsetenv("SCRIPTS_ROOT");
}

static void the_environment_overrides(void) {
    setenv("PORT", "0", 1);
    setenv("INGEST_WORKERS", "4", 1);
    setenv("CACHE_ENABLED", "False", 1);
    setenv("LOG_LEVEL", "WARNING", 1);
    setenv("KAFKA_AUTO_OFFSET_RESET", "LATEST", 1);
    setenv("REDIS_URL", "none", 1);
    setenv("ALLOWED_SERVICE_IDS", " one ,two,, three ", 1);
    setenv("HULEEDU_INTERNAL_API_KEY", "[\"k,1\", \"k[2]\\u00e9\"]", 1);
    struct config *config = load(shipped);
    CHECK_OK(config != NULL, &err);
    if (config) {
        CHECK_INT(config->http.port, 0);
        CHECK_INT(config->ingest.workers, 4);
        CHECK_INT(config->cache.enabled, 0);
        CHECK_TEXT(config->log.level, "warning");
        CHECK_TEXT(config->kafka.auto_offset_reset, "latest");
        CHECK_TEXT(config->redis.url, "");
        CHECK_INT(config->http.allowed_services.count, 3);
        CHECK_TEXT(config->http.allowed_services.items[0], "one");
        CHECK_TEXT(config->http.allowed_services.items[2], "three");
        CHECK_INT(config->http.api_keys.count, 2);
        CHECK_TEXT(config->http.api_keys.items[0], "k,1");
        CHECK_TEXT(config->http.api_keys.items[1], "k[2]\xC3\xA9");
    }
    config_unref(config);
    unset_all();
    setenv("PORT", "", 1); /* empty is unset */
    config = load(shipped);
    CHECK_INT(config ? config->http.port : -1, 4003);
    config_unref(config);
    unsetenv("PORT");
}

/* With one more variable set, the database is found at `url`. */
static void database_is_at(const char *name, const char *value, const char *url) {
    setenv(name, value, 1);
    struct config *config = load(shipped);
    CHECK_OK(config != NULL, &err);
    CHECK_TEXT(config ? config->postgres.url : "", url);
    config_unref(config);
}

/* PLATFORM.md, 6. Later ones of this list rule over earlier ones. */
static void the_database_url_follows_the_platforms_variables(void) {
    unset_all();
    database_is_at("HULEEDU_DB_PASSWORD", "p@ss/w:%d",
                   "postgresql://huledu:p%40ss%2Fw%3A%25d@localhost:5436/"
                   "huleedu_result_aggregator");
    database_is_at("ENV_TYPE", "docker",
                   "postgresql://huledu:p%40ss%2Fw%3A%25d@result_aggregator_db:5432/"
                   "huleedu_result_aggregator");
    database_is_at("RESULT_AGGREGATOR_SERVICE_DB_HOST", "db",
                   "postgresql://huledu:p%40ss%2Fw%3A%25d@db:5432/huleedu_result_aggregator");
    database_is_at("RESULT_AGGREGATOR_SERVICE_DB_PORT", "6432",
                   "postgresql://huledu:p%40ss%2Fw%3A%25d@db:6432/huleedu_result_aggregator");
    setenv("HULEEDU_PROD_DB_HOST", "prod", 1); /* of production alone */
    setenv("HULEEDU_PROD_DB_PASSWORD", "secret", 1);
    database_is_at("HULEEDU_DB_USER", "us er",
                   "postgresql://us%20er:p%40ss%2Fw%3A%25d@db:6432/huleedu_result_aggregator");
    database_is_at("ENVIRONMENT", "production",
                   "postgresql://us%20er:secret@prod:5432/huleedu_result_aggregator");
    database_is_at("HULEEDU_PROD_DB_PORT", "5433",
                   "postgresql://us%20er:secret@prod:5433/huleedu_result_aggregator");
    database_is_at("SERVICE_DATABASE_URL", "postgresql://given/x", "postgresql://given/x");
    database_is_at("RESULT_AGGREGATOR_SERVICE_DATABASE_URL", "postgresql+asyncpg://own/x",
                   "postgresql+asyncpg://own/x");
    unset_all();
}

/* PLATFORM.md, 6. */
static void the_first_releases_api_key_is_used_if_there_is_no_other(void) {
    static const char *const names[] = {"INTERNAL_API_KEY", "HULEEDU_INTERNAL_API_KEY"};
    static const char *const keys[] = {"key of the first", "key of the second"};
    unset_all();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        setenv(names[i], keys[i], 1);
        struct config *config = load(shipped);
        CHECK_OK(config != NULL, &err);
        CHECK_INT(config ? config->http.api_keys.count : 0, 1);
        CHECK_TEXT(config && config->http.api_keys.count == 1 ? config->http.api_keys.items[0] : "",
                   keys[i]);
        config_unref(config);
    }
    unset_all();
}

static void a_wrong_variable_is_named_by_its_key(void) {
    static const char *const ports[] = {"http", "-1",  "65536", "80.5",
                                        "nan",  "inf", "80 81", "1e9"};
    char prefix[128];
    snprintf(prefix, sizeof prefix,
             "%s:%d: http.port: must be a whole number from 0 to 65535, not ", path,
             line_at(shipped, "port = env"));
    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
        setenv("PORT", ports[i], 1);
        struct config *config = load(shipped);
        if (config || strncmp(err.text, prefix, strlen(prefix)) != 0 ||
            !strstr(err.text, ports[i])) {
            TEST_FAIL("PORT=%s: %s", ports[i], err.text);
        }
        config_unref(config);
    }
    unsetenv("PORT");
    setenv("HULEEDU_INTERNAL_API_KEY", "[\"a\", 1]", 1);
    CHECK(!load(shipped));
    CHECK_HAS(err.text, "must be a JSON list of strings");
    unsetenv("HULEEDU_INTERNAL_API_KEY");
}

/* What is rejected goes back to the database as one parameter, of which Postgres takes 1 GB. */
static void a_batch_fits_into_one_parameter(void) {
    char *most = with("batch_max_bytes = 16 * 1024 * 1024", "batch_max_bytes = 256 * 1024 * 1024");
    char *more = with("batch_max_bytes = 16 * 1024 * 1024", "batch_max_bytes = 256 * 1024 * 1025");
    struct config *config = load(most);
    CHECK_OK(config != NULL, &err);
    config_unref(config);
    config = load(more);
    CHECK(!config);
    CHECK_HAS(err.text, "must be a whole number from 1024 to 268435456");
    config_unref(config);
    free(most);
    free(more);
}

static void secrets_come_from_files(void) {
    char secret[] = "/tmp/test_config_secret.XXXXXX";
    int fd = mkstemp(secret);
    setenv("HULEEDU_INTERNAL_API_KEY_FILE", secret, 1);
    CHECK(!load(shipped));
    CHECK_HAS(err.text, "HULEEDU_INTERNAL_API_KEY_FILE: /tmp/test_config_secret.");
    CHECK_HAS(err.text, "is empty");
    CHECK(write(fd, "from-file\r\n", 11) == 11);
    struct config *config = load(shipped);
    CHECK_OK(config != NULL, &err);
    CHECK_TEXT(config ? config->http.api_keys.items[0] : "", "from-file");
    config_unref(config);
    setenv("HULEEDU_INTERNAL_API_KEY", "from-variable", 1);
    config = load(shipped);
    CHECK_TEXT(config ? config->http.api_keys.items[0] : "", "from-variable");
    config_unref(config);
    unsetenv("HULEEDU_INTERNAL_API_KEY");
    CHECK(ftruncate(fd, 9000) == 0);
    CHECK(!load(shipped));
    CHECK_HAS(err.text, "is larger than the limit of 8191 bytes");
    close(fd);
    unlink(secret);
    CHECK(!load(shipped));
    CHECK_HAS(err.text, "cannot be read: No such file");
    setenv("HULEEDU_INTERNAL_API_KEY_FILE", "/tmp", 1);
    CHECK(!load(shipped));
    CHECK_HAS(err.text, "HULEEDU_INTERNAL_API_KEY_FILE: /tmp is a folder");
    unsetenv("HULEEDU_INTERNAL_API_KEY_FILE");
}

static void an_invalid_key_in_a_key_file_is_refused(void) {
    static const struct {
        const char *bytes;
        size_t len;
        const char *said;
    } wrong[] = {{"\xEF\xBB\xBFkey\n", 7, "begins with a byte-order mark"},
                 {"key\0more\n", 9, ":1: a NUL byte at offset 3"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char secret[] = "/tmp/test_config_secret.XXXXXX";
        int fd = mkstemp(secret);
        CHECK(write(fd, wrong[i].bytes, wrong[i].len) == (ssize_t)wrong[i].len);
        close(fd);
        setenv("HULEEDU_INTERNAL_API_KEY_FILE", secret, 1);
        CHECK(!load(shipped));
        CHECK_HAS(err.text, "HULEEDU_INTERNAL_API_KEY_FILE: /tmp/test_config_secret.");
        CHECK_HAS(err.text, wrong[i].said);
        unlink(secret);
    }
    unsetenv("HULEEDU_INTERNAL_API_KEY_FILE");
}

/* The key that `call` gives, or NULL: none. */
static const char *key_by(const char *call) {
    static char key[64];
    char text[256];
    snprintf(text, sizeof text, "return { http = { api_keys = { %s or nil } } }", call);
    struct config *config = load(text);
    CHECK_OK(config != NULL, &err);
    bool some = config && config->http.api_keys.count > 0;
    snprintf(key, sizeof key, "%s", some ? config->http.api_keys.items[0] : "");
    config_unref(config);
    return some ? key : NULL;
}

static void a_default_stands_behind_the_variable_and_the_file(void) {
    static const char *const calls[] = {"env_or_file(\"SPEC_KEY\")",
                                        "env_or_file(\"SPEC_KEY\", nil)",
                                        "env_or_file(\"SPEC_KEY\", false)",
                                        "env_or_file(\"SPEC_KEY\", \"spare\")",
                                        "env_or_file(\"SPEC_KEY\", \"spare\", \"more\")",
                                        "env_or_file(\"SPEC_KEY\", {} and \"spare\")"};
    char secret[] = "/tmp/test_config_secret.XXXXXX";
    int fd = mkstemp(secret);
    CHECK(write(fd, "from-file\n", 10) == 10);
    close(fd);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        const char *without = key_by(calls[i]);
        CHECK_TEXT(without ? without : "", i < 3 ? "" : "spare");
        setenv("SPEC_KEY_FILE", secret, 1);
        CHECK_TEXT(key_by(calls[i]), "from-file");
        setenv("SPEC_KEY", "from-variable", 1);
        CHECK_TEXT(key_by(calls[i]), "from-variable");
        unsetenv("SPEC_KEY");
        unsetenv("SPEC_KEY_FILE");
    }
    setenv("SPEC_KEY", "from-variable", 1);
    CHECK_TEXT(key_by("env_or_file(\"SPEC_KEY\", {})"), "from-variable");
    unsetenv("SPEC_KEY");
    unlink(secret);
}

/* RFC 9110 and the head of a response: host/http/request.c and response.c. */
static void fields_of_http_are_no_names_of_headers(void) {
    static const char *const taken[] = {"ETag",
                                        "Retry-After",
                                        "Location",
                                        "content-type",
                                        "Server-Timing",
                                        "Date",
                                        "Allow",
                                        "Cache-Control",
                                        "WWW-Authenticate",
                                        "X-Content-Type-Options",
                                        "Content-Length",
                                        "Transfer-Encoding",
                                        "Connection",
                                        "Expect",
                                        "If-None-Match",
                                        "Authorization",
                                        "Traceparent",
                                        "Cookie",
                                        "Vary"};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        char named[40];
        snprintf(named, sizeof named, "\"%s\"", taken[i]);
        refuses("\"X-Service-ID\"", named, "http.caller_header", "that HTTP does not use itself");
        refuses("\"X-Internal-API-Key\"", named, "http.api_key_header",
                "that HTTP does not use itself");
        refuses("\"X-Correlation-ID\"", named, "http.correlation_id_header",
                "that HTTP does not use itself");
    }
}

static void a_password_of_any_characters_is_percent_encoded_in_the_url(void) {
    setenv("HULEEDU_DB_PASSWORD", "a@b/c:d%e?f#g h", 1);
    struct config *config = load(shipped);
    CHECK(config != NULL);
    CHECK_TEXT(config->postgres.url,
               "postgresql://huledu:a%40b%2Fc%3Ad%25e%3Ff%23g%20h@localhost:5436/"
               "huleedu_result_aggregator");
    config_unref(config);
    unsetenv("HULEEDU_DB_PASSWORD");
}

static void secrets_of_the_configuration_show_in_no_error(void) {
    setenv("HULEEDU_INTERNAL_API_KEY", "a-key-of-this-test", 1);
    setenv("DATABASE_URL", "postgresql://u:the-database-s-secret@h/d", 1);
    char *text = with("options = {},", "options = { [\"sasl.password\"] = \"kafka-s-secret\" },");
    struct config *config = load(text);
    CHECK(config != NULL);
    err_set(&err, ERR_UNAVAILABLE,
            "refused: a-key-of-this-test the-database-s-secret "
            "kafka-s-secret");
    CHECK_TEXT(err.text, "refused: *** *** ***");
    config_unref(config);
    free(text);
    unsetenv("DATABASE_URL");
    unsetenv("HULEEDU_INTERNAL_API_KEY");
}

static void note_live(void *context, const char *section, const char *key, bool live) {
    char *said = context;
    snprintf(said + strlen(said), 128 - strlen(said), "%s.%s %s;", section, key,
             live ? "now" : "restart");
}

/* What a reload says of one change in the shipped file. */
static void reload_takes(const char *from, const char *to, const char *wanted) {
    char said[128] = "";
    struct config *before = load(shipped);
    char *text = with(from, to);
    struct config *after = load(text);
    CHECK_OK(before && after, &err);
    if (before && after) {
        config_compare(before, after, note_live, said);
    }
    CHECK_TEXT(said, wanted);
    config_unref(before);
    config_unref(after);
    free(text);
}

static void a_reload_lists_the_settings_it_applies(void) {
    reload_takes("[\"bff-teacher-service\"] = \"internal\",", "", "http.vocabularies now;");
    reload_takes("    options = {},", "    options = { [\"sasl.password\"] = \"x\" },",
                 "kafka.options now;");
    reload_takes("    options = {},", "    options = { [\"linger.ms\"] = \"5\" },",
                 "kafka.options restart;");
    reload_takes("env(\"HOST\", \"0.0.0.0\")", "\"127.0.0.1\"", "http.host restart;");
}

static const struct test_case cases[] = {
    {"the shipped file loads", the_shipped_file_loads},
    {"headers have names where the file gives none", headers_have_names_where_the_file_gives_none},
    {"folders lie beside the file", folders_lie_beside_the_file},
    {"the environment overrides", the_environment_overrides},
    {"the database URL follows the platform's variables",
     the_database_url_follows_the_platforms_variables},
    {"the first release's API key is used if there is no other",
     the_first_releases_api_key_is_used_if_there_is_no_other},
    {"a wrong variable is named by its key", a_wrong_variable_is_named_by_its_key},
    {"a batch fits into one parameter", a_batch_fits_into_one_parameter},
    {"secrets come from files", secrets_come_from_files},
    {"a default stands behind the variable and the file",
     a_default_stands_behind_the_variable_and_the_file},
    {"an invalid key in a key file is refused", an_invalid_key_in_a_key_file_is_refused},
    {"fields of HTTP are no names of headers", fields_of_http_are_no_names_of_headers},
    {"a password of any characters is percent-encoded in the URL",
     a_password_of_any_characters_is_percent_encoded_in_the_url},
    {"secrets of the configuration show in no error",
     secrets_of_the_configuration_show_in_no_error},
    {"a reload lists the settings it applies", a_reload_lists_the_settings_it_applies},
};

CONFIG_TEST_MAIN(cases)
