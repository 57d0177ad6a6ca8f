/* Logins rotate while the program runs: the next connection has the new one, and no outage is
 * reported. Needs PG_TEST_URL and REDIS_TEST_URL. */
#include <libpq-fe.h>
#include "config/renewal.h"
#include "bindings/login.h"

#include <sys/stat.h>
#include <unistd.h>

#include "bindings/pg.h"
#include "bindings/redis.h"
#include "base/buffer.h"
#include "files.h"

static struct err err;
static char folder[] = "/tmp/aggregator-renewal.XXXXXX";
static struct redis *redis_admin;
static struct pg *pg_admin;

/* ---- the files ----------------------------------------------------------------------------- */

/* Written aside and put in place, as secrets are. */
static void write_file(const char *name, const char *text) {
    char path[256], draft[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(draft, sizeof draft, "%s.new", path);
    write_path(draft, text);
    CHECK(rename(draft, path) == 0);
}

static void name_file(const char *variable, const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    setenv(variable, path, 1);
}

/* The URL of a server with another login: scheme://LOGIN@host… */
static char *with_login(const char *url, const char *login) {
    static char out[2][512];
    static int turn;
    char *text = out[turn ^= 1];
    const char *host = strrchr(url, '@') ? strrchr(url, '@') + 1 : strstr(url, "://") + 3;
    snprintf(text, sizeof out[0], "%.*s://%s@%s", (int)strcspn(url, ":"), url, login, host);
    return text;
}

static void set_redis_login(const char *login) {
    write_file("redis", with_login(test_url("REDIS_TEST_URL"), login));
}

static void set_pg_login(const char *login) {
    write_file("postgres", with_login(test_url("PG_TEST_URL"), login));
}

/* ---- the servers --------------------------------------------------------------------------- */

static void ask_redis(const char *command) {
    char text[256], *rest = NULL;
    struct slice args[16];
    size_t count = 0;
    snprintf(text, sizeof text, "%s", command);
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        args[count++] = slice_of(word);
    }
    CHECK_OK(redis_append(redis_admin, args, count, &err) &&
                 redis_run(redis_admin, NULL, NULL, &err),
             &err);
}

static void run_sql(const char *sql) {
    CHECK_OK(pg_script(pg_admin, sql, 5000, &err), &err);
}

static struct redis *connect_redis(void) {
    char *url = login_url(LOGIN_REDIS, with_login(test_url("REDIS_TEST_URL"), "spec:first"));
    struct redis *redis = redis_create(url, 5000, &err);
    CHECK(redis);
    free(url);
    return redis;
}

static bool ping(struct redis *redis) {
    struct slice args[] = {slice_of("PING")};
    return redis_append(redis, args, 1, &err) && redis_run(redis, NULL, NULL, &err);
}

static struct pg *make_pg(const char *url) {
    struct pg_options options = {
        .url = url, .connect_timeout_ms = 5000, .statement_timeout_ms = 5000};
    return pg_create(&options);
}

static bool is_user(struct pg *pg, const char *name) {
    PGresult *row = NULL;
    if (!pg_wake(pg, 5000, &err) ||
        !pg_query(pg, "user", "SELECT current_user", NULL, 5000, &row, &err)) {
        TEST_FAIL("%s", err.text);
        return false;
    }
    bool is = strcmp(PQgetvalue(row, 0, 0), name) == 0;
    PQclear(row);
    return is;
}

/* ---- cases --------------------------------------------------------------------------------- */

static void a_rotated_redis_password_is_taken_at_the_next_connection(void) {
    ask_redis("ACL SETUSER spec on ~* &* +@all resetpass >first");
    set_redis_login("spec:first");
    struct redis *redis = connect_redis();
    CHECK_OK(ping(redis), &err);
    ask_redis("ACL SETUSER spec resetpass >second");
    ask_redis("CLIENT KILL USER spec");
    set_redis_login("spec:second");
    CHECK_OK(ping(redis), &err);
    redis_destroy(redis);
}

/* What changes between the look at the file and the server's answer. */
static void a_redis_login_that_is_refused_is_read_again_before_it_fails(void) {
    ask_redis("ACL SETUSER spec on ~* &* +@all resetpass >first");
    set_redis_login("spec:first");
    struct redis *redis = connect_redis();
    CHECK_OK(ping(redis), &err);
    ask_redis("ACL SETUSER spec resetpass >third");
    ask_redis("CLIENT KILL USER spec");
    CHECK(!ping(redis)); /* the file is not written yet */
    CHECK_HAS(err.text, "refuses the session");
    CHECK(!strstr(err.text, "third"));
    err_clear(&err);
    set_redis_login("spec:third");
    WAIT_UNTIL((err_clear(&err), ping(redis)));
    redis_destroy(redis);
}

static void a_rotated_postgres_role_is_taken_at_the_next_connection(void) {
    char *url = with_login(test_url("PG_TEST_URL"), "spec_one:first");
    run_sql("DROP ROLE IF EXISTS spec_one; DROP ROLE IF EXISTS spec_two;"
            "CREATE ROLE spec_one LOGIN; CREATE ROLE spec_two LOGIN");
    set_pg_login("spec_one:first");
    struct pg *pg = make_pg(url);
    CHECK(is_user(pg, "spec_one"));
    set_pg_login("spec_two:second");
    CHECK(is_user(pg, "spec_one")); /* a connection that stands stays */
    pg_disconnect(pg);
    run_sql("DROP ROLE spec_one");
    CHECK(is_user(pg, "spec_two"));
    pg_destroy(pg);
    run_sql("DROP ROLE spec_two");
}

static void another_address_needs_a_restart(void) {
    const char *url = with_login(test_url("REDIS_TEST_URL"), "spec:first");
    write_file("redis", "redis://spec:first@elsewhere.invalid:1/0");
    char *now = login_url(LOGIN_REDIS, url);
    CHECK_TEXT(now, url);
    free(now);
    write_file("postgres", "postgresql://u:p@elsewhere.invalid/d");
    now = login_url(LOGIN_POSTGRES, "postgresql://u:old@here.invalid/d");
    CHECK_TEXT(now, "postgresql://u:old@here.invalid/d");
    free(now);
    now = login_url(LOGIN_POSTGRES, "postgresql+asyncpg://v:old@elsewhere.invalid/d");
    CHECK_TEXT(now, "postgresql://u:p@elsewhere.invalid/d");
    free(now);
    set_pg_login("spec_one:first");
}

static void a_file_that_cannot_be_read_leaves_the_login_as_it_is(void) {
    const char *url = with_login(test_url("REDIS_TEST_URL"), "spec:first");
    set_redis_login("spec:kept");
    char *kept = login_url(LOGIN_REDIS, url);
    CHECK_HAS(kept, "spec:kept@");
    static const char *const bad[] = {"", "http://no.redis", "redis://"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file("redis", bad[i]);
        char *now = login_url(LOGIN_REDIS, url);
        CHECK_TEXT(now, kept);
        free(now);
    }
    set_redis_login("spec:better");
    char *now = login_url(LOGIN_REDIS, url);
    CHECK_HAS(now, "spec:better@");
    free(now);
    free(kept);
}

static void a_new_secret_is_redacted_like_the_old_one(void) {
    set_redis_login("spec:0ld-secret");
    free(login_url(LOGIN_REDIS, "redis://h"));
    set_redis_login("spec:n3w-secret");
    free(login_url(LOGIN_REDIS, "redis://h"));
    err_set(&err, ERR_INPUT, "0ld-secret and n3w-secret");
    CHECK_TEXT(err.text, "*** and ***");
}

static void sasl_logins_are_those_of_the_same_brokers(void) {
    struct login_pair sasl = login_sasl("elsewhere:9092", false);
    CHECK(!sasl.user && !sasl.password);
    sasl = login_sasl("brokers.invalid:9092", false);
    CHECK_TEXT(sasl.user, "app");
    CHECK_TEXT(sasl.password, "first");
    login_pair_free(&sasl);
    write_file("sasl", "second");
    sasl = login_sasl("brokers.invalid:9092", true);
    CHECK_TEXT(sasl.password, "second");
    login_pair_free(&sasl);
}

static void a_login_in_an_extended_file_is_read_again(void) {
    write_file("base.lua", "return { kafka = { brokers = 'brokers.invalid:9092', options = {\n"
                           "['sasl.username'] = 'app', ['sasl.password'] = 'third' } } }");
    struct login_pair sasl = login_sasl("brokers.invalid:9092", false);
    CHECK_TEXT(sasl.password, "third");
    login_pair_free(&sasl);
}

static const struct test_case cases[] = {
    {"a rotated Redis password is taken at the next connection",
     a_rotated_redis_password_is_taken_at_the_next_connection},
    {"a Redis login that is refused is read again before it fails",
     a_redis_login_that_is_refused_is_read_again_before_it_fails},
    {"a rotated Postgres role is taken at the next connection",
     a_rotated_postgres_role_is_taken_at_the_next_connection},
    {"another address needs a restart", another_address_needs_a_restart},
    {"a file that cannot be read leaves the login as it is",
     a_file_that_cannot_be_read_leaves_the_login_as_it_is},
    {"a new secret is redacted like the old one", a_new_secret_is_redacted_like_the_old_one},
    {"SASL logins are those of the same brokers", sasl_logins_are_those_of_the_same_brokers},
    {"a login in an extended file is read again", a_login_in_an_extended_file_is_read_again},
};

/* The project's own configuration, with the login of Kafka that it lacks. */
static struct config *load(void) {
    char path[256];
    snprintf(path, sizeof path, "%s/config.lua", folder);
    struct buffer text = {0};
    FILE *file = fopen("spec/fixtures/config/full.lua", "re");
    for (int c; file && (c = fgetc(file)) != EOF;) {
        char one = (char)c;
        buffer_append(&text, &one, 1);
    }
    if (file) {
        fclose(file);
    }
    buffer_append(&text, "", 1);
    char *options = strstr(text.data, "options = {}");
    CHECK(options);
    struct buffer edited = {0};
    buffer_append(&edited, text.data, (size_t)(options - text.data));
    buffer_append_text(&edited, "options = { [\"sasl.username\"] = \"app\", [\"sasl.password\"] = "
                                "env_or_file(\"SPEC_SASL\") }");
    buffer_append_text(&edited, options + strlen("options = {}"));
    buffer_append(&edited, "", 1);
    write_file("base.lua", edited.data);
    write_file("config.lua", "return { extends = 'base.lua' }");
    buffer_free(&text);
    buffer_free(&edited);
    struct config *config = config_load(path, &err);
    if (config) {
        renewal_begin(path, config);
    }
    return config;
}

int main(int argc, char **argv) {
    if (!mkdtemp(folder)) {
        return 1;
    }
    setenv("KAFKA_BOOTSTRAP_SERVERS", "brokers.invalid:9092", 1);
    name_file("REDIS_URL_FILE", "redis");
    name_file("DATABASE_URL_FILE", "postgres");
    name_file("SPEC_SASL_FILE", "sasl");
    write_file("sasl", "first");
    set_redis_login("spec:first");
    set_pg_login("spec_one:first");
    /* Places of their own, with logins that are never renewed. */
    char redis_url[256], pg_url[256];
    snprintf(redis_url, sizeof redis_url, "%s/1", test_url("REDIS_TEST_URL"));
    snprintf(pg_url, sizeof pg_url, "%s?application_name=spec", test_url("PG_TEST_URL"));
    redis_admin = redis_create(redis_url, 5000, &err);
    pg_admin = make_pg(pg_url);
    struct config *config = load();
    if (!config || !pg_connect(pg_admin, &err)) {
        printf("%s\n0 passed, 1 failed\n", err.text);
        return 1;
    }
    int status = test_run(cases, sizeof cases / sizeof *cases, argc, argv);
    redis_destroy(redis_admin);
    pg_destroy(pg_admin);
    config_unref(config);
    return status;
}
