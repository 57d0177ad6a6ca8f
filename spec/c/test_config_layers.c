/* config: files that extend others, variables of settings, and settings of another release. */
#include "config/fields.h"
#include "config/show.h"
#include "config_file.h"

/* ---- files ---------------------------------------------------------------------------------- */

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

static void options_that_may_be_secrets_are_hidden_however_they_are_spelt(void) {
    static const char *const secret[] = {"sasl.password", "sasl.passwrd", "SASL.PASSWORD",
                                         "ssl.key.pem", "sasl.jaas.config"};
    for (size_t i = 0; i < sizeof secret / sizeof *secret; i++) {
        CHECK(config_is_secret_option(secret[i]));
    }
    CHECK(!config_is_secret_option("sasl.username"));
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
    CHECK(!load("return { extends = 'base.lua\\0.txt' }"));
    CHECK_HAS(err.text, ":1: extends: must be the path of a configuration file");
    CHECK(!load("return { http = { ['port\\nhttp.host: fine'] = 1 } }"));
    CHECK(!strchr(err.text, '\n'));
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
    {"options that may be secrets are hidden, however they are spelt",
     options_that_may_be_secrets_are_hidden_however_they_are_spelt},
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
};

CONFIG_TEST_MAIN(cases)
