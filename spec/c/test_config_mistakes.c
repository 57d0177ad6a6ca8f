/* config: every mistake is named with key, file and line. */
#include <sys/stat.h>

#include "config/functions.h"
#include "config/lines.h"
#include "config_file.h"

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
    refuses("host = env(\"HOST\", \"0.0.0.0\")", "host = (\"x\"):rep(254)", "http.host",
            "is 254 bytes long: it takes at most 253");
    refuses("host = env(\"ADMIN_HOST\", \"127.0.0.1\")", "host = (\"x\"):rep(70000)", "admin.host",
            "is 70000 bytes long: it takes at most 253");
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
         "url = (\"redisss://:s3cr3t@h\" or env_or_file(\"REDIS_URL\"",
         "rediss-sentinel:// for TLS"},
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
    CHECK_HAS(err.text, ":1: log: must be a table, got a number");
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
        {"return { http = setmetatable({}, { __index = error }) }",
         "http: must be a table without a metatable"},
        {"return { kafka = 5 }", "kafka: must be a table, got a number"},
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

/* A tail call has left the chunk: its line is unknown, the file is not. */
static void a_function_given_a_wrong_argument_is_named(void) {
    static const struct {
        const char *text, *place, *what;
    } table[] = {
        {"\nlocal x = env()\nreturn x", ":2: ", "env: must be given a text, not no value"},
        {"return env(nil, 'x')", ": ", "env: must be given a text, not nil"},
        {"return list({ 1, 2 })", ": ", "list: must be given a text, not table"},
        {"local x = list(true)\nreturn x", ":1: ", "list: must be given a text, not boolean"},
        {"local x = env_or_file({})\nreturn x", ":1: ", "env_or_file: must be given a text"},
        {"local x = list('a', 'b')\nreturn x", ":1: ", "list: takes one text: write list("},
        {"local x = list('[1]')\nreturn x", ":1: ", "list: " CONFIG_LIST_RULE},
        {"local function f()\nreturn env()\nend\nlocal x = f()", ":4: ", "env: must be given"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char want[256];
        snprintf(want, sizeof want, "%s%s%s", path, table[i].place, table[i].what);
        if (load(table[i].text) || !strstr(err.text, want)) {
            TEST_FAIL("%s: \"%s\" has no \"%s\"", table[i].text, err.text, want);
        }
    }
    struct config *config = load("return { http = { api_keys = list((' a '):gsub(' ', '')) } }");
    CHECK_OK(config != NULL, &err); /* gsub gives a count, too */
    config_unref(config);
}

static void an_endless_file_is_stopped(void) {
    char want[256];
    CHECK(!load("local function run() while true do pcall(next, {}) end end\nrun()\nreturn {}"));
    snprintf(want, sizeof want, "%s:1: timed out: the limit is 5000 ms", path);
    CHECK_TEXT(err.text, want);
    CHECK(!load("\nlocal t = table.move({}, 1, 1e15, 2)"));
    CHECK_HAS(err.text, ":2: timed out: the limit is 5000 ms");
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

static const struct test_case cases[] = {
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
    {"a function given a wrong argument is named", a_function_given_a_wrong_argument_is_named},
    {"an endless file is stopped", an_endless_file_is_stopped},
    {"the socket is found in a file that cannot be run",
     the_socket_is_found_in_a_file_that_cannot_be_run},
    {"lines are found in any layout", lines_are_found_in_any_layout},
};

CONFIG_TEST_MAIN(cases)
