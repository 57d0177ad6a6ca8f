/* config: the shipped file loads, the environment overrides it, and every mistake is named with
 * key, file and line. */
#include <sys/stat.h>

#include "config/config.h"

#include <unistd.h>

#include "config/lines.h"
#include "base/xalloc.h"
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
static char *shipped; /* the text of the project's config.lua */

static char *read_file(const char *name) {
    char *text = calloc(1, 65536);
    FILE *file = fopen(name, "r");
    if (file) {
        CHECK(fread(text, 1, 65535, file) > 0);
        fclose(file);
    }
    return text;
}

static void write_text(const char *text) {
    FILE *file = fopen(path, "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static struct config *load(const char *text) {
    write_text(text);
    return config_load(path, &err);
}

/* The shipped file with the first `from` replaced. */
static char *with(const char *from, const char *to) {
    const char *at = strstr(shipped, from);
    if (!at) {
        TEST_FAIL("config.lua has no \"%s\"", from);
        return xstrdup(shipped);
    }
    char *text = calloc(1, strlen(shipped) + strlen(to) + 1);
    memcpy(text, shipped, (size_t)(at - shipped));
    strcat(text, to);
    strcat(text, at + strlen(from));
    return text;
}

static int line_at(const char *text, const char *part) {
    const char *at = strstr(text, part);
    int line = 1;
    CHECK(at != NULL);
    for (const char *c = text; at && c < at; c++) {
        line += *c == '\n';
    }
    return line;
}

/* With `from` replaced by `to` the file is refused with "path:LINE: KEY: …what…". */
static void refuses(const char *from, const char *to, const char *key, const char *what) {
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

static void unset_all(void) {
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        unsetenv(variables[i]);
    }
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
    CHECK_HAS(err.text, "HULEEDU_INTERNAL_API_KEY_FILE names /tmp/test_config_secret.");
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
    CHECK_HAS(err.text, "HULEEDU_INTERNAL_API_KEY_FILE names /tmp is a folder");
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
        CHECK_HAS(err.text, "HULEEDU_INTERNAL_API_KEY_FILE names /tmp/test_config_secret.");
        CHECK_HAS(err.text, wrong[i].said);
        unlink(secret);
    }
    unsetenv("HULEEDU_INTERNAL_API_KEY_FILE");
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

static void wrong_values_are_named(void) {
    refuses("\"X-Service-ID\"", "\"X Service\"", "http.caller_header", "name of a header field");
    refuses("\"X-Service-ID\"", "\"Host\"", "http.caller_header", "that HTTP does not use itself");
    refuses("\"X-Service-ID\"", "\"x-internal-api-key\"", "http.caller_header",
            "names the field of http.api_key_header: name another");
    refuses("\"X-Correlation-ID\"", "\"x-service-id\"", "http.correlation_id_header",
            "names the field of http.caller_header: name another");
    refuses("threads = 16", "threads = \"many\"", "http.threads", "from 1 to 4096, not many");
    refuses("threads = 16", "threads = {}", "http.threads", "not table");
    refuses("threads = 16", "threads = 0", "http.threads", "from 1 to 4096, not 0");
    refuses("threads = 16", "threads = 1.5", "http.threads", "from 1 to 4096, not 1.5");
    refuses("options = {}", "options = 7", "kafka.options", "must map property names");
    refuses("vocabularies = {", "vocabularies = { 7,", "http.vocabularies",
            "must map callers to vocabularies");
    refuses("options = {}", "options = { [1] = 2 }", "kafka.options", "must map");
    refuses("options = {}", "options = { a = {} }", "kafka.options", "must map");
    refuses("api_keys = list(env_or_file(\"HULEEDU_INTERNAL_API_KEY\") or "
            "env_or_file(\"INTERNAL_API_KEY\"))",
            "api_keys = { k = \"v\" }", "http.api_keys", "must be a list of strings");
    refuses("api_keys = list(env_or_file(\"HULEEDU_INTERNAL_API_KEY\") or "
            "env_or_file(\"INTERNAL_API_KEY\"))",
            "api_keys = { 1 }", "http.api_keys", "must be a list of strings");
    refuses("enabled = env(\"CACHE_ENABLED\", true)", "enabled = \"maybe\"", "cache.enabled",
            "must be true or false");
    refuses("level = env(\"LOG_LEVEL\", \"INFO\")", "level = \"loud\"", "log.level",
            "must be one of debug info");
    refuses("auto_offset_reset = env(\"KAFKA_AUTO_OFFSET_RESET\", \"earliest\")",
            "auto_offset_reset = \"newest\"", "kafka.auto_offset_reset",
            "must be one of earliest latest, not \"newest\"");
    refuses("name = env(\"SERVICE_NAME\", \"result_aggregator_service\")", "name = 7",
            "service.name", "must be a string");
    refuses("name = env(\"SERVICE_NAME\", \"result_aggregator_service\")", "name = \"a\\0b\"",
            "service.name", "must not hold a NUL byte");
}

static void keys_of_the_same_name_in_two_tables_are_told_apart(void) {
    refuses("url = (env_or_file(\"REDIS_URL\")", "url = true or (env_or_file(\"REDIS_URL\")",
            "redis.url", "must be a string");
    refuses("url = database_url()", "url = 5", "postgres.url", "must be a string");
    refuses("timeout_ms = 250", "timeout_ms = 0", "redis.timeout_ms", "from 1");
}

/* What `run` could not connect to, `check` refuses; neither shows what may be a password. */
static void invalid_addresses_are_refused(void) {
    static const struct {
        const char *key, *from, *to, *reason;
    } table[] = {
        {"redis.url", "url = (env_or_file(\"REDIS_URL\"",
         "url = (\"rediss://:s3cr3t@h\" or env_or_file(\"REDIS_URL\"", "without TLS"},
        {"redis.url", "url = (env_or_file(\"REDIS_URL\"",
         "url = (\"redis://h:70000\" or env_or_file(\"REDIS_URL\"", "[:port]"},
        {"postgres.url", "url = database_url()", "url = \"postgresql://u:s3c/r3t@h/d\"",
         "percent-encoded"},
        {"postgres.url", "url = database_url()", "url = \"mysql://u:s3cr3t@h/d\"",
         "cannot be parsed"},
        {"kafka.brokers", "brokers = env(\"KAFKA_BOOTSTRAP_SERVERS\", \"localhost:9093\")",
         "brokers = \"\"", "host:port"},
        {"kafka.brokers", "brokers = env(\"KAFKA_BOOTSTRAP_SERVERS\", \"localhost:9093\")",
         "brokers = \"one:9092,,two:9092\"", "host:port"},
        {"kafka.brokers", "brokers = env(\"KAFKA_BOOTSTRAP_SERVERS\", \"localhost:9093\")",
         "brokers = \"one:9092;two:9092\"", "host:port"},
        {"kafka.brokers", "brokers = env(\"KAFKA_BOOTSTRAP_SERVERS\", \"localhost:9093\")",
         "brokers = \"one:99999\"", "host:port"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        refuses(table[i].from, table[i].to, table[i].key, table[i].reason);
        CHECK(!strstr(err.text, "s3c") && !strstr(err.text, "r3t"));
    }
    static const char *const good[] = {"one", "one:9092, two:1", "[::1]:9092", "SASL_SSL://a:9093",
                                       "SSL://[fe80::1]:9093,b"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        setenv("KAFKA_BOOTSTRAP_SERVERS", good[i], 1);
        struct config *config = load(shipped);
        CHECK_TEXT(config ? config->kafka.brokers : err.text, good[i]);
        config_unref(config);
    }
    unsetenv("KAFKA_BOOTSTRAP_SERVERS");
}

static void unknown_and_missing_keys_are_named(void) {
    refuses("threads = 16", "threds = 16", "http.threds", "unknown key");
    refuses("workers = env", "wrokers = env", "ingest.wrokers", "unknown key");
    refuses("log = {", "lgo = {", "lgo", "unknown section");
    refuses("options = {}", "[\"strange key\"] = 1", "kafka.strange key", "unknown key");
    char *text = with("ttl_s = env(\"REDIS_CACHE_TTL_SECONDS\", 300),", "");
    CHECK(!load(text));
    char want[128];
    snprintf(want, sizeof want, "%s:%d: cache.ttl_s: is missing", path, line_at(text, "cache = {"));
    CHECK_TEXT(err.text, want);
    free(text);
    CHECK(!load("return { log = { level = \"info\", format = \"json\" } }"));
    CHECK_HAS(err.text, ": service: the section is missing");
    CHECK(!load("return { log = 5 }"));
    CHECK_HAS(err.text, ":1: log: must be a table");
    CHECK(!load("return { 5 }"));
    CHECK_HAS(err.text, "[number]: unknown section");
}

static void files_that_are_not_a_configuration_are_refused(void) {
    CHECK(!load("return {"));
    CHECK_HAS(err.text, ":1: ");
    CHECK(!load("\n\nerror(\"no\")"));
    CHECK_HAS(err.text, ":3: no");
    CHECK(!load("error({})"));
    CHECK_HAS(err.text, "raised an error that is a table value");
    CHECK(!load("return 5"));
    CHECK_HAS(err.text, "must return a table");
    CHECK(!load(""));
    CHECK_HAS(err.text, "must return a table");
    CHECK(!load("return os.getenv(\"HOME\")"));
    CHECK(!config_load("/nowhere/config.lua", &err));
    CHECK_HAS(err.text, "/nowhere/config.lua");
}

/* A FIFO would be waited for, on a reload by a program that runs. */
static void a_path_that_is_not_a_regular_text_file_is_refused_unread(void) {
    (void)remove(path);
    CHECK(mkfifo(path, 0600) == 0);
    CHECK(!config_load(path, &err));
    CHECK_HAS(err.text, "is a FIFO: it must be a regular file");
    CHECK(remove(path) == 0);
    CHECK(!config_load(".", &err));
    CHECK_HAS(err.text, ". is a folder");
    CHECK(!load("\xEF\xBB\xBFreturn {}"));
    CHECK_HAS(err.text, "begins with a byte-order mark");
    FILE *file = fopen(path, "w");
    CHECK(file && fwrite("return {}\0--", 1, 12, file) == 12 && fclose(file) == 0);
    CHECK(!config_load(path, &err));
    CHECK_HAS(err.text, ":1: a NUL byte at offset 9");
}

/* Bounded in time and memory, and read raw: it is loaded by a running program, too. */
static void any_file_ends_in_a_message_or_a_configuration(void) {
    static const struct {
        const char *text, *what;
    } table[] = {
        {"return setmetatable({}, { __index = function(_, k) error('no ' .. k) end })",
         "without a metatable"},
        {"return { http = setmetatable({}, { __index = error }) }", "http: must be a table"},
        {"error(setmetatable({}, { __tostring = function() error('again') end }))",
         "a table value"},
        {"error()", "a nil value"},
        {"local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end", "limit is 64 MiB"},
        {"local t = {} for i = 1, 2e7 do t['k' .. i] = true end return t", "limit is 64 MiB"},
        {"local t = {} for i = 1, 1e5 do t['k' .. i] = true end return t", "unknown section"},
        {"local function f() return 1 + f() end return f()", "stack overflow"},
        {"return coroutine.yield({})", "yield"},
        {"return { [{}] = 1 }", "[number]: unknown section"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (load(table[i].text) || !strstr(err.text, table[i].what)) {
            TEST_FAIL("%s: \"%s\" has no \"%s\"", table[i].text, err.text, table[i].what);
        }
    }
}

static void an_endless_file_is_stopped(void) {
    CHECK(!load("while true do pcall(function() while true do end end) end"));
    CHECK_HAS(err.text, ":1: timed out: the limit is 5000 ms");
}

static int line_of(const char *text, const char *section, const char *key) {
    write_text(text);
    return config_line_of(path, section, key);
}

static void lines_are_found_in_any_layout(void) {
    CHECK_INT(line_of("return { a = { x = 1 }, b = { x = 2 } }", "b", "x"), 1);
    CHECK_INT(line_of("return {\na = {\nx = 1 },\nb = {\nx = 2 }}", "b", "x"), 5);
    CHECK_INT(line_of("return {\na = {\n[\"x\"] = 1,\n['x'] = 2 }}", "a", "x"), 4);
    CHECK_INT(
        line_of("-- a = { x = 1 }\n--[[ a = {\nx = 2 } ]]\nreturn { a = {\nx = 3 }}", "a", "x"), 5);
    CHECK_INT(
        line_of("return { s = \"a = { x = 1 }\",\na = { t = [==[ }\n]] ]==],\nx = 1 }}", "a", "x"),
        4);
    CHECK_INT(line_of("local c = {}\nc.a = {}\nc.a.x = 1\nreturn c", "a", "x"), 3);
    CHECK_INT(line_of("return { a = {\nt = { x = 1 },\nx = 2 } }", "a", "x"), 3);
    CHECK_INT(line_of("return { b = {\na = 1, x = 1 },\na = {\nx = 2 } }", "a", "x"), 4);
    CHECK_INT(line_of("return { a = {\ny = x == 1,\nx = 2 } }", "a", "x"), 3);
    CHECK_INT(line_of("return { a = {\n} }", "a", "x"), 1);
    CHECK_INT(line_of("return {\na = make(1) }", "a", "x"), 2);
    CHECK_INT(line_of("return {}", "a", "x"), 0);
    CHECK_INT(line_of("return { a = { \"unended", "a", "x"), 1);
    CHECK_INT(line_of("return { a = { --[[ unended", "a", "x"), 1);
    CHECK_INT(line_of("}}}{{{ a = { x = 1", "a", "x"), 1);
    CHECK_INT(config_line_of("/nowhere", "a", "x"), 0);
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
    {"a reload lists the settings it applies", a_reload_lists_the_settings_it_applies},
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
    {"an invalid key in a key file is refused", an_invalid_key_in_a_key_file_is_refused},
    {"fields of HTTP are no names of headers", fields_of_http_are_no_names_of_headers},
    {"wrong values are named", wrong_values_are_named},
    {"keys of the same name in two tables are told apart",
     keys_of_the_same_name_in_two_tables_are_told_apart},
    {"invalid addresses are refused", invalid_addresses_are_refused},
    {"unknown and missing keys are named", unknown_and_missing_keys_are_named},
    {"files that are not a configuration are refused",
     files_that_are_not_a_configuration_are_refused},
    {"a path that is not a regular text file is refused unread",
     a_path_that_is_not_a_regular_text_file_is_refused_unread},
    {"any file ends in a message or a configuration",
     any_file_ends_in_a_message_or_a_configuration},
    {"an endless file is stopped", an_endless_file_is_stopped},
    {"lines are found in any layout", lines_are_found_in_any_layout},
    {"a password of any characters is percent-encoded in the URL",
     a_password_of_any_characters_is_percent_encoded_in_the_url},
    {"secrets of the configuration show in no error",
     secrets_of_the_configuration_show_in_no_error},
};

/* Run at the project's root. */
int main(int argc, char **argv) {
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        unsetenv(variables[i]);
    }
    close(mkstemp(path));
    shipped = read_file("config.lua");
    int status = test_run(cases, sizeof cases / sizeof *cases, argc, argv);
    free(shipped);
    unlink(path);
    return status;
}
