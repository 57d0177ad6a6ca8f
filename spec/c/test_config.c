/* config: the shipped file loads, the environment overrides it, and every mistake is named with
 * key, file and line. */
#include <sys/stat.h>

#include "config/config.h"

#include <unistd.h>

#include "config/lines.h"
#include "config/show.h"
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
#define FULL "spec/fixtures/config/full.lua"
static char *shipped; /* the text of FULL: the config.lua of an earlier release, with every key */

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
        TEST_FAIL(FULL " has no \"%s\"", from);
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

static void unset_all(void) {
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        unsetenv(variables[i]);
    }
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
         "url = (\"redisss://:s3cr3t@h\" or env_or_file(\"REDIS_URL\"", "rediss:// for TLS"},
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

static void unknown_keys_are_named(void) {
    refuses("threads = 16", "threds = 16", "http.threds", "unknown key");
    refuses("workers = env", "wrokers = env", "ingest.wrokers", "unknown key");
    refuses("log = {", "lgo = {", "lgo", "unknown section");
    refuses("options = {}", "[\"strange key\"] = 1", "kafka.strange key", "unknown key");
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
    return config_line_of(text, section, key);
}

static void the_socket_is_found_in_a_file_that_cannot_be_run(void) {
    static const char *const table[][2] = {
        {"return { admin = { socket = '/s' }, http = {", "/s"},
        {"local c = {} c.admin.socket = \"s\" return", "/tmp/s"},
        {"return { admin = { socket = env('X') } http", "/tmp/aggregator.sock"},
        {"return { htp = 1, admin = { socket = '/t' } }", "/t"},
        {"return {", "/tmp/aggregator.sock"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        write_text(table[i][0]);
        char *found = config_find_socket(path);
        CHECK_TEXT(found, table[i][1]);
        free(found);
    }
    setenv("AGGREGATOR_ADMIN_SOCKET", "/by/variable", 1);
    char *found = config_find_socket(path);
    CHECK_TEXT(found, "/by/variable");
    free(found);
    unsetenv("AGGREGATOR_ADMIN_SOCKET");
    found = config_find_socket("/etc/aggregator/config.lua");
    CHECK_TEXT(found, "/run/aggregator/admin.sock");
    free(found);
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

/* ---- layers -------------------------------------------------------------------------------- */

static char base_path[] = "/tmp/test_config_base.XXXXXX";

static void write_base(const char *text) {
    FILE *file = fopen(base_path, "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* Loads `return { extends = BASE, …rest… }`; the base has the text. */
static struct config *load_over(const char *base, const char *rest) {
    char text[1024];
    write_base(base);
    snprintf(text, sizeof text, "return { extends = \"%s\",\n%s }", base_path, rest);
    return load(text);
}

static void note_difference(void *context, const char *section, const char *key, bool live) {
    (void)context;
    (void)live;
    if (strcmp(section, "scripts") != 0 && strcmp(key, "socket") != 0) { /* folders differ */
        TEST_FAIL("config.lua and " FULL " differ in %s.%s", section, key);
    }
}

static void the_configuration_of_an_earlier_release_means_the_same(void) {
    struct config *earlier = load(shipped), *present = config_load("config.lua", &err);
    CHECK_OK(earlier && present, &err);
    if (earlier && present) {
        config_compare(earlier, present, note_difference, NULL);
    }
    config_unref(earlier);
    config_unref(present);
}

static void a_setting_without_a_value_has_its_default(void) {
    struct config *config = load("return { http = { port = nil, threads = 3 } }");
    CHECK_OK(config != NULL, &err);
    if (config) {
        CHECK_INT(config->http.port, 4003);
        CHECK_INT(config->http.threads, 3);
        CHECK_INT(config->http.states, 8);
        CHECK_INT(config->http.api_keys.count, 0);
        CHECK_INT(config->kafka.options.count, 0);
        CHECK_TEXT(config->service.name, "aggregator");
        CHECK_TEXT(config->scripts.root, "/tmp/scripts");
        CHECK_INT(config_origin_of(config, "http", "port")->files.count, 0);
        CHECK_INT(config_origin_of(config, "http", "port")->variables.count, 0);
    }
    config_unref(config);
}

static void a_file_says_what_differs_from_the_one_it_extends(void) {
    struct config *config = load_over(
        "return { http = { port = 1, threads = 2, allowed_services = { 'a', 'b' } },\n"
        "kafka = { options = { ['linger.ms'] = 1, ['client.rack'] = 'x', debug = 'all' } },\n"
        "scripts = { root = 'base' } }",
        "http = { port = 5, allowed_services = { 'c' } },\n"
        "kafka = { options = { ['linger.ms'] = 7, debug = false } },\n"
        "scripts = { sql = 'own' }");
    CHECK_OK(config != NULL, &err);
    if (config) {
        CHECK_INT(config->http.port, 5);
        CHECK_INT(config->http.threads, 2);
        CHECK_INT(config->http.allowed_services.count, 1);
        CHECK_TEXT(config->http.allowed_services.items[0], "c");
        CHECK_INT(config->kafka.options.count, 2);
        CHECK_TEXT(config->scripts.root, "/tmp/base");
        CHECK_INT(config->files.count, 2);
        CHECK_TEXT(config->files.items[1], base_path);
        const struct config_origin *port = config_origin_of(config, "http", "port");
        char place[128];
        snprintf(place, sizeof place, "%s:2", path);
        CHECK_INT(port->files.count, 1);
        CHECK_TEXT(port->files.items[0], place);
        snprintf(place, sizeof place, "%s:1", base_path);
        CHECK_TEXT(config_origin_of(config, "http", "threads")->files.items[0], place);
        CHECK_INT(config_origin_of(config, "kafka", "options")->files.count, 2);
    }
    config_unref(config);
}

static void a_relative_path_lies_beside_the_file_that_names_it(void) {
    char folder[] = "/tmp/test_config_folder.XXXXXX", name[128];
    CHECK(mkdtemp(folder));
    snprintf(name, sizeof name, "%s/site.lua", folder);
    write_base("return { scripts = { root = 'r' }, admin = { socket = 's' } }");
    FILE *file = fopen(name, "w");
    CHECK(file && fprintf(file, "return { extends = '..%s', scripts = { specs = 'x' } }",
                          strrchr(base_path, '/')) > 0);
    fclose(file);
    struct config *config = config_load(name, &err);
    CHECK_OK(config != NULL, &err);
    if (config) {
        char specs[160], root[160];
        snprintf(specs, sizeof specs, "%s/x", folder);
        snprintf(root, sizeof root, "%s/../r", folder);
        CHECK_TEXT(config->scripts.specs, specs);
        CHECK_TEXT(config->scripts.root, root);
        snprintf(root, sizeof root, "%s/../sql", folder); /* a default: beside the last file */
        CHECK_TEXT(config->scripts.sql, root);
    }
    config_unref(config);
    unlink(name);
    rmdir(folder);
}

static void a_mistake_in_an_extended_file_is_named_there(void) {
    char want[128];
    CHECK(!load_over("return {\nhttp = { port = 'x' } }", "log = { level = 'info' }"));
    snprintf(want, sizeof want, "%s:2: http.port: must be a whole number", base_path);
    CHECK_HAS(err.text, want);
    CHECK(!load_over("return {\nhttp = { prot = 1 } }", ""));
    CHECK_HAS(err.text, "http.prot: unknown key: did you mean \"port\"?");
    CHECK(!load_over("return 5", ""));
    CHECK_HAS(err.text, "must return a table");
    CHECK(!load("return { extends = 5 }"));
    CHECK_HAS(err.text, ":1: extends: must be the path of a configuration file");
    CHECK(!load("return { extends = '/nowhere/base.lua' }"));
    CHECK_HAS(err.text, "/nowhere/base.lua cannot be read");
    CHECK(!load("return { extend = 'x' }"));
    CHECK_HAS(err.text, "did you mean \"extends\"?");
    char itself[128];
    snprintf(itself, sizeof itself, "return { extends = '%s' }", path);
    CHECK(!load(itself));
    CHECK_HAS(err.text, "does one extend itself?");
}

static void all_problems_are_named_at_once(void) {
    CHECK(!load("return {\nhttp = { prot = 1,\nthreads = 0 },\nlgo = {} }"));
    CHECK_HAS(err.text, ":2: http.prot: unknown key");
    CHECK_HAS(err.text, ":3: http.threads: must be");
    CHECK_HAS(err.text, ":4: lgo: unknown section");
}

static void note_any_difference(void *context, const char *section, const char *key, bool live) {
    (void)context;
    (void)live;
    TEST_FAIL("%s.%s differs", section, key);
}

static void the_settings_of_a_program_can_be_taken_over(void) {
    struct buffer json = {0};
    setenv("HULEEDU_INTERNAL_API_KEY", "one,two", 1);
    setenv("DATABASE_URL", "postgresql://u:pw@h/d", 1);
    setenv("AGGREGATOR_KAFKA_OPTIONS_SASL_PASSWORD", "pw", 1);
    struct config *config = load(shipped);
    CHECK_OK(config != NULL, &err);
    struct config_view view = {.config = config, .plain = true};
    CHECK_OK(config && config_show(&view, &json, &err), &err);
    struct config *taken = config_of_settings(buffer_slice(&json), &err);
    CHECK_OK(taken != NULL, &err);
    if (config && taken) {
        config_compare(config, taken, note_any_difference, NULL);
    }
    config_unref(taken);
    buffer_clear(&json);
    view.plain = false; /* nothing of a secret is left */
    CHECK_OK(config && config_show(&view, &json, &err), &err);
    CHECK(!strstr(json.data, "pw") && !strstr(json.data, "\"two\""));
    config_unref(config);
    buffer_free(&json);
    unset_all();
    unsetenv("AGGREGATOR_KAFKA_OPTIONS_SASL_PASSWORD");
}

static void settings_of_another_release_are_taken_over_as_far_as_they_are_known(void) {
    struct config *taken = config_of_settings(
        slice_of("{\"settings\": [{\"key\": \"http.port\", \"value\": 7}, {\"key\": \"http.gone\", "
                 "\"value\": {}}, {\"key\": \"http.port\", \"value\": 8}]}"),
        &err);
    CHECK_OK(taken != NULL, &err);
    CHECK_INT(taken ? taken->http.port : 0, 7);
    CHECK_INT(taken ? taken->http.threads : 0, 16);
    config_unref(taken);
    static const char *const wrong[] = {"",
                                        "[]",
                                        "{}",
                                        "{\"settings\": [1]}",
                                        "{\"error\": \"x\"}",
                                        "{\"settings\": [{\"key\": \"http.port\"}]}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK(!config_of_settings(slice_of(wrong[i]), &err));
        CHECK(err.text[0]);
    }
}

/* ---- variables ----------------------------------------------------------------------------- */

static void any_setting_can_be_set_by_a_variable(void) {
    setenv("AGGREGATOR_HTTP_THREADS", "33", 1);
    setenv("AGGREGATOR_CACHE_ENABLED", "false", 1);
    setenv("AGGREGATOR_HTTP_ALLOWED_SERVICES", "one, two", 1);
    setenv("AGGREGATOR_HTTP_VOCABULARIES", "{\"a,b\": \"words\"}", 1);
    setenv("AGGREGATOR_KAFKA_OPTIONS", "linger.ms=5, security.protocol=ssl", 1);
    setenv("AGGREGATOR_KAFKA_OPTIONS_SECURITY_PROTOCOL", "sasl_ssl", 1);
    setenv("AGGREGATOR_SCRIPTS_ROOT", "elsewhere", 1);
    struct config *config = load("return { http = { threads = 2 } }");
    CHECK_OK(config != NULL, &err);
    if (config) {
        CHECK_INT(config->http.threads, 33);
        CHECK_INT(config->cache.enabled, 0);
        CHECK_INT(config->http.allowed_services.count, 2);
        CHECK_TEXT(config->http.vocabularies.names[0], "a,b");
        CHECK_INT(config->kafka.options.count, 2);
        CHECK_TEXT(config->kafka.options.names[1], "security.protocol");
        CHECK_TEXT(config->kafka.options.values[1], "sasl_ssl");
        CHECK_TEXT(config->scripts.root, "/tmp/elsewhere");
        const struct config_origin *threads = config_origin_of(config, "http", "threads");
        CHECK_INT(threads->files.count, 0);
        CHECK_TEXT(threads->variables.items[0], "AGGREGATOR_HTTP_THREADS");
        CHECK_INT(config->warnings.count, 1); /* of the caller "a,b" */
    }
    config_unref(config);
    setenv("AGGREGATOR_HTTP_THREADS", "none", 1);
    CHECK(!load("return {}"));
    CHECK_HAS(err.text, "AGGREGATOR_HTTP_THREADS: http.threads: must be a whole number");
    unsetenv("AGGREGATOR_HTTP_THREADS");
    setenv("AGGREGATOR_KAFKA_OPTIONS", "linger", 1);
    CHECK(!load("return {}"));
    CHECK_HAS(err.text, "AGGREGATOR_KAFKA_OPTIONS: kafka.options: a map must be name=value");
    unsetenv("AGGREGATOR_CACHE_ENABLED");
    unsetenv("AGGREGATOR_HTTP_ALLOWED_SERVICES");
    unsetenv("AGGREGATOR_HTTP_VOCABULARIES");
    unsetenv("AGGREGATOR_KAFKA_OPTIONS");
    unsetenv("AGGREGATOR_KAFKA_OPTIONS_SECURITY_PROTOCOL");
    unsetenv("AGGREGATOR_SCRIPTS_ROOT");
}

static void a_variable_may_name_a_file_with_the_value(void) {
    write_base("from-file\n");
    setenv("AGGREGATOR_KAFKA_OPTIONS_SASL_PASSWORD_FILE", base_path, 1);
    setenv("AGGREGATOR_ADMIN_KEYS_FILE", base_path, 1);
    struct config *config = load("return {}");
    CHECK_OK(config != NULL, &err);
    if (config) {
        CHECK_TEXT(config->kafka.options.names[0], "sasl.password");
        CHECK_TEXT(config->kafka.options.values[0], "from-file");
        CHECK_TEXT(config->admin.keys.items[0], "from-file");
        CHECK_INT(config->secret_files.count, 2);
        CHECK_TEXT(config_origin_of(config, "kafka", "options")->variables.items[0],
                   "AGGREGATOR_KAFKA_OPTIONS_SASL_PASSWORD_FILE");
    }
    config_unref(config);
    unsetenv("AGGREGATOR_KAFKA_OPTIONS_SASL_PASSWORD_FILE");
    unsetenv("AGGREGATOR_ADMIN_KEYS_FILE");
}

static void a_misspelt_variable_is_warned_of(void) {
    setenv("AGGREGATOR_HTTP_THREDS", "3", 1);
    setenv("AGGREGATOR_PORT_4003_TCP_ADDR", "10.0.0.1", 1); /* Kubernetes */
    setenv("AGGREGATOR_CONFIG", "config.lua", 1);
    struct config *config = load("return {}");
    CHECK_OK(config != NULL, &err);
    CHECK_INT(config ? config->warnings.count : 0, 1);
    CHECK_HAS(config && config->warnings.count ? config->warnings.items[0] : "",
              "AGGREGATOR_HTTP_THREDS names no setting: did you mean \"AGGREGATOR_HTTP_THREADS\"?");
    config_unref(config);
    unsetenv("AGGREGATOR_HTTP_THREDS");
    unsetenv("AGGREGATOR_PORT_4003_TCP_ADDR");
    unsetenv("AGGREGATOR_CONFIG");
}

static void a_caller_with_a_vocabulary_that_is_not_allowed_is_warned_of(void) {
    struct config *config = load("return { http = { allowed_services = { 'gateway' },\n"
                                 "vocabularies = { gatewy = 'words', gateway = 'words' } } }");
    CHECK_OK(config != NULL, &err);
    CHECK_INT(config ? config->warnings.count : 0, 1);
    CHECK_HAS(config && config->warnings.count ? config->warnings.items[0] : "",
              ":2: http.vocabularies: \"gatewy\" is not in http.allowed_services: did you mean "
              "\"gateway\"?");
    config_unref(config);
}

/* The variables of a setting's origin, joined. */
static void comes_from(const char *text, const char *section, const char *key, const char *names) {
    char joined[256] = "";
    struct config *config = load(text);
    CHECK_OK(config != NULL, &err);
    if (config) {
        const struct config_origin *origin = config_origin_of(config, section, key);
        for (size_t i = 0; i < origin->variables.count; i++) {
            strcat(strcat(joined, i ? " " : ""), origin->variables.items[i]);
        }
    }
    CHECK_TEXT(joined, names);
    config_unref(config);
}

static void the_variables_that_a_file_reads_for_a_setting_are_known(void) {
    setenv("PORT", "1", 1);
    setenv("HOST", "h", 1);
    comes_from("return { http = {\nport = env('PORT', 5),\nhost = env('HOST') } }", "http", "port",
               "PORT");
    comes_from("return { http = {\nport = env('PORT', 5),\nhost = env('HOST') } }", "http", "host",
               "HOST");
    comes_from("return { http = { port = env('PORT'), host = env('HOST') } }", "http", "host",
               "HOST");
    comes_from("local p = env('PORT')\nreturn { http = {\nport = p,\nhost = 'x' } }", "http",
               "port", "PORT");
    comes_from("local function f()\nreturn 'x' .. env('HOST')\nend\nreturn { service = {\n"
               "name = f(),\nversion = '1' } }",
               "service", "name", "HOST");
    comes_from("return { http = {\nport = env('UNSET_ONE', 5) } }", "http", "port", "");
    comes_from("return { http = {\nport = 5,\nhost = env('HOST') } }", "http", "port", "");
    unsetenv("PORT");
    unsetenv("HOST");
}

static const struct test_case cases[] = {
    {"the configuration of an earlier release means the same",
     the_configuration_of_an_earlier_release_means_the_same},
    {"a setting without a value has its default", a_setting_without_a_value_has_its_default},
    {"a file says what differs from the one it extends",
     a_file_says_what_differs_from_the_one_it_extends},
    {"a relative path lies beside the file that names it",
     a_relative_path_lies_beside_the_file_that_names_it},
    {"a mistake in an extended file is named there", a_mistake_in_an_extended_file_is_named_there},
    {"all problems are named at once", all_problems_are_named_at_once},
    {"the settings of a program can be taken over", the_settings_of_a_program_can_be_taken_over},
    {"settings of another release are taken over as far as they are known",
     settings_of_another_release_are_taken_over_as_far_as_they_are_known},
    {"any setting can be set by a variable", any_setting_can_be_set_by_a_variable},
    {"a variable may name a file with the value", a_variable_may_name_a_file_with_the_value},
    {"a misspelt variable is warned of", a_misspelt_variable_is_warned_of},
    {"a caller with a vocabulary that is not allowed is warned of",
     a_caller_with_a_vocabulary_that_is_not_allowed_is_warned_of},
    {"the variables that a file reads for a setting are known",
     the_variables_that_a_file_reads_for_a_setting_are_known},
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
    {"unknown keys are named", unknown_keys_are_named},
    {"files that are not a configuration are refused",
     files_that_are_not_a_configuration_are_refused},
    {"a path that is not a regular text file is refused unread",
     a_path_that_is_not_a_regular_text_file_is_refused_unread},
    {"any file ends in a message or a configuration",
     any_file_ends_in_a_message_or_a_configuration},
    {"an endless file is stopped", an_endless_file_is_stopped},
    {"the socket is found in a file that cannot be run",
     the_socket_is_found_in_a_file_that_cannot_be_run},
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
    close(mkstemp(base_path));
    shipped = read_file(FULL);
    int status = test_run(cases, sizeof cases / sizeof *cases, argc, argv);
    free(shipped);
    unlink(path);
    unlink(base_path);
    return status;
}
