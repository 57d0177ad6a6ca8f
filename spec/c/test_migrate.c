/* migrate: numbered files, forward only, each applied whole or not at all. Needs PG_TEST_URL. */
#include <libpq-fe.h>
#include "schema/migrate.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bindings/pg.h"
#include "base/log.h"
#include "schema/program_schema.h"
#include "files.h"
#include "test_database.h"

#define WAIT_MS 10000

static char folder[] = "/tmp/test_migrate.XXXXXX";
static char url[512];
static struct config config;
static struct pg *pg;
static struct err err;
static bool on_citus;

static void write_file(const char *name, const char *text) {
    char migrations[64];
    snprintf(migrations, sizeof migrations, "%s/migrations", folder);
    write_in(migrations, name, text);
}

static void remove_file(const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/migrations/%s", folder, name);
    CHECK(unlink(path) == 0);
}

static void script(const char *sql) {
    struct err reason = {0};
    CHECK_OK(pg_script(pg, sql, WAIT_MS, &reason), &reason);
}

static const char *ask(const char *sql) {
    static char text[256];
    PGresult *row = NULL;
    struct err reason = {0};
    CHECK_OK(pg_query(pg, sql, sql, NULL, WAIT_MS, &row, &reason), &reason);
    snprintf(text, sizeof text, "%s", row && PQntuples(row) ? PQgetvalue(row, 0, 0) : "");
    PQclear(row);
    return text;
}

/* Runs; the number applied, or -1. */
static int run(void) {
    int applied = -1;
    err_clear(&err);
    return migrate_run(&config, &applied, &on_citus, &err) ? applied : -1;
}

static int pending(void) {
    int count = -1;
    err_clear(&err);
    return migrate_pending(pg, &config, &count, &err) ? count : -1;
}

static int program_files(void) {
    int count = 0;
    while (program_schema_files[count].name) {
        count++;
    }
    return count;
}

/* A database where only the program's own files are applied. */
static void begin(void) {
    char path[64];
    log_configure(LOG_ERROR, false);
    strcpy(folder, "/tmp/test_migrate.XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/migrations", folder);
    CHECK(mkdir(path, 0700) == 0);
    snprintf(path, sizeof path, "%s/functions", folder);
    CHECK(mkdir(path, 0700) == 0);
    test_database_renew("test_migrate", true);
    snprintf(url, sizeof url, "%s", test_database_url("test_migrate"));
    config.postgres.url = url;
    config.postgres.connect_timeout_ms = 5000;
    config.scripts.sql = folder;
    pg = test_database_connect(config.postgres.url, "test_migrate");
    CHECK_INT(run(), program_files());
}

static void end(void) {
    char command[64];
    pg_destroy(pg);
    test_database_renew("test_migrate", false);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CHECK(system(command) == 0);
}

static void files_are_applied_in_order_once(void) {
    begin();
    write_file("0002_second.sql", "INSERT INTO steps VALUES (2);");
    write_file("0010_tenth.sql", "INSERT INTO steps SELECT max(a) * 10 FROM steps;");
    write_file("0001_first.sql", "CREATE TABLE steps (a int);\n-- \xC3\xA9\n");
    write_file("notes.txt", "not a migration");
    write_file(".hidden.sql", "not a migration");
    CHECK_INT(pending(), 3);
    CHECK_INT(run(), 3);
    CHECK_TEXT(ask("SELECT string_agg(a::text, ',' ORDER BY a) FROM steps"), "2,20");
    CHECK_INT(pending(), 0);
    CHECK_INT(run(), 0);
    write_file("0011_next.sql", "INSERT INTO steps VALUES (3);");
    CHECK_INT(pending(), 1);
    CHECK_INT(run(), 1);
    CHECK_TEXT(ask("SELECT string_agg(version || name, ',' ORDER BY version) FROM "
                   "schema_migrations"),
               "10001_first.sql,20002_second.sql,100010_tenth.sql,110011_next.sql");
    end();
}

static void a_file_that_changed_is_refused(void) {
    begin();
    write_file("0001_first.sql", "CREATE TABLE steps (a int);");
    CHECK_INT(run(), 1);
    write_file("0001_first.sql", "CREATE TABLE steps (a bigint);");
    CHECK_INT(run(), -1);
    CHECK_HAS(err.text, "0001_first.sql: has changed since it was applied");
    CHECK_INT(err.kind, ERR_INPUT);
    CHECK_INT(pending(), -1);
    CHECK_HAS(err.text, "0001_first.sql: has changed since it was applied");
    end();
}

static void a_file_replaces_an_earlier_text_that_it_names(void) {
    char text[256];
    begin();
    write_file("0001_first.sql", "CREATE TABLE steps (a int);");
    CHECK_INT(run(), 1);
    snprintf(text, sizeof text, "CREATE TABLE others ();\n-- replaces %s\n",
             ask("SELECT checksum FROM schema_migrations"));
    write_file("0001_first.sql", text);
    CHECK_INT(pending(), 0);
    CHECK_INT(run(), 0);
    CHECK_TEXT(ask("SELECT to_regclass('others') IS NULL"), "t");
    end();
}

static void a_file_older_than_the_newest_applied_is_refused(void) {
    begin();
    write_file("0001_first.sql", "SELECT 1;");
    write_file("0003_third.sql", "SELECT 1;");
    CHECK_INT(run(), 2);
    write_file("0002_second.sql", "CREATE TABLE late (a int);");
    CHECK_INT(run(), -1);
    CHECK_HAS(err.text, "0002_second.sql: is older than the newest applied, 0003");
    CHECK_TEXT(ask("SELECT to_regclass('late') IS NULL"), "t");
    remove_file("0002_second.sql");
    remove_file("0001_first.sql"); /* a file of an older release may be gone */
    CHECK_INT(run(), 0);
    end();
}

static void a_file_that_fails_is_rolled_back_and_named(void) {
    begin();
    write_file("0001_first.sql", "CREATE TABLE steps (a int);");
    write_file("0002_broken.sql", "INSERT INTO steps VALUES (1);\n\nINSERT INTO nowhere\nVALUES "
                                  "(1);");
    write_file("0003_third.sql", "INSERT INTO steps VALUES (3);");
    int applied = -1;
    CHECK(!migrate_run(&config, &applied, &on_citus, &err));
    CHECK_INT(applied, 1);
    CHECK_HAS(err.text, "0002_broken.sql: line 3: relation \"nowhere\" does not exist");
    CHECK_INT(err.kind, ERR_INPUT);
    CHECK_TEXT(ask("SELECT count(*) FROM steps"), "0");
    write_file("0002_broken.sql", "INSERT INTO steps VALUES (2);");
    CHECK_INT(run(), 2);
    CHECK_TEXT(ask("SELECT string_agg(a::text, ',') FROM steps"), "2,3");
    end();
}

static void a_file_that_ends_its_transaction_is_refused(void) {
    static const char *const texts[] = {
        "CREATE TABLE steps (a int);\nCOMMIT;\nSELECT 1 / 0;",
        "CREATE TABLE steps (a int);\nROLLBACK;",
    };
    begin();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int applied = -1;
        write_file("0001_first.sql", texts[i]);
        CHECK(!migrate_run(&config, &applied, &on_citus, &err));
        CHECK_HAS(err.text, "0001_first.sql: line 2: ");
        CHECK_HAS(err.text, " ends the transaction in which a file is applied whole");
        CHECK_INT(err.kind, ERR_INPUT);
        CHECK_TEXT(ask("SELECT to_regclass('steps') IS NULL"), "t");
        err_clear(&err);
    }
    CHECK_INT(pending(), 1);
    end();
}

/* Also what pg_dump writes at the beginning of a schema's text. */
static void what_a_file_sets_is_for_that_file_alone(void) {
    begin();
    write_file("0001_first.sql", "CREATE SCHEMA other;\nSET search_path = other, public;\n"
                                 "CREATE TABLE steps (a int);");
    write_file("0002_second.sql", "CREATE TABLE steps (a int);");
    write_file("0003_dumped.sql", "SELECT pg_catalog.set_config('search_path', '', false);\n"
                                  "CREATE TABLE public.dumped (a int);");
    CHECK_INT(run(), 3);
    CHECK_TEXT(
        ask("SELECT string_agg(schemaname || '.' || tablename, ' ' ORDER BY schemaname, tablename) "
            "FROM pg_tables WHERE tablename IN ('steps', 'dumped')"),
        "other.steps public.dumped public.steps");
    CHECK_TEXT(ask("SELECT string_agg(name, ' ' ORDER BY version) FROM public.schema_migrations"),
               "0001_first.sql 0002_second.sql 0003_dumped.sql");
    end();
}

static void a_search_path_without_a_schema_is_refused_before_anything_is_applied(void) {
    begin();
    script("ALTER DATABASE test_migrate SET search_path = missing");
    write_file("0001_first.sql", "CREATE TABLE steps (a int);");
    CHECK_INT(run(), -1);
    CHECK_HAS(err.text, "no schema of search_path exists that the role may use");
    CHECK_INT(err.kind, ERR_INPUT);
    script("ALTER DATABASE test_migrate RESET search_path");
    CHECK_INT(run(), 1);
    end();
}

static void bad_names_and_files_are_refused(void) {
    static const struct {
        const char *name, *text, *what;
    } table[] = {
        {"0001_first.sql", "SELECT 1; -- \xff", "0001_first.sql is not UTF-8: save it as UTF-8"},
        {"1_first.sql", "", "1_first.sql: must be named NNNN_name.sql"},
        {"0001.sql", "", "0001.sql: must be named NNNN_name.sql"},
        {"0001-first.sql", "", "must be named NNNN_name.sql"},
        {"00011_x.sql", "", "must be named NNNN_name.sql"},
        {"first.sql", "", "must be named NNNN_name.sql"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        begin();
        write_file(table[i].name, table[i].text);
        CHECK_INT(run(), -1);
        CHECK_HAS(err.text, table[i].what);
        end();
    }
    begin();
    write_file("0001_a.sql", "");
    write_file("0001_b.sql", "");
    CHECK_INT(run(), -1);
    CHECK_HAS(err.text, "0001_a.sql and 0001_b.sql have the same number");
    char path[128];
    snprintf(path, sizeof path, "%s/migrations/0001_b.sql", folder);
    FILE *file = fopen(path, "w");
    CHECK(file && fwrite("SELECT\0 1", 1, 9, file) == 9 && fclose(file) == 0);
    remove_file("0001_a.sql");
    CHECK_INT(run(), -1);
    CHECK_HAS(err.text, "0001_b.sql:1: a NUL byte at offset 6");
    config.scripts.sql = "/nowhere";
    CHECK_INT(run(), -1);
    CHECK_HAS(err.text, "/nowhere/migrations: No such file");
    end();
}

static void a_file_without_a_statement_is_refused_until_it_has_one(void) {
    begin();
    write_file("0001_first.sql", "-- to be written\n/* CREATE TABLE steps (a int); */ ;\n");
    CHECK_INT(pending(), 1);
    CHECK_INT(run(), -1);
    CHECK_INT(err.kind, ERR_INPUT);
    CHECK_HAS(err.text, "0001_first.sql: has no statement: write one, or delete the file");
    CHECK_INT(pending(), 1);
    write_file("0001_first.sql", "-- written\nCREATE TABLE steps (a int);\n");
    CHECK_INT(run(), 1);
    end();
}

static void a_file_without_a_number_is_applied_whenever_it_has_changed(void) {
    begin();
    write_file("0001_first.sql", "CREATE TABLE steps (a int);");
    write_file("../functions/a.sql",
               "INSERT INTO steps VALUES (1);"); /* after those with a number */
    CHECK_INT(run(), 2);
    CHECK_INT(run(), 0);
    write_file("../functions/a.sql", "INSERT INTO steps VALUES (2);");
    CHECK_INT(pending(), 1);
    CHECK_INT(run(), 1);
    CHECK_INT(run(), 0);
    CHECK_TEXT(ask("SELECT string_agg(a::text, ',') FROM steps"), "1,2");
    write_file("../functions/a.sql", "INSERT INTO nowhere VALUES (2);");
    CHECK_INT(run(), -1);
    CHECK_HAS(err.text, "functions/a.sql: line 1: relation \"nowhere\" does not exist");
    end();
}

static void the_programs_tables_have_a_schema_of_their_own(void) {
    begin();
    write_file("0001_first.sql", "CREATE TABLE outbox (a int);"); /* the service's own */
    CHECK_INT(run(), 1);
    CHECK_TEXT(ask("SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE "
                   "relkind = 'r' AND relnamespace = 'public'::regnamespace"),
               "outbox,schema_migrations");
    CHECK_TEXT(ask("SELECT count(*) > 8 FROM pg_class WHERE relkind = 'r' AND "
                   "relnamespace = '" PROGRAM_SCHEMA "'::regnamespace"),
               "t");
    end();
}

static void a_missing_table_of_the_program_is_named_and_created_again(void) {
    begin();
    CHECK_TEXT(ask("SELECT count(*) FROM " PROGRAM_SCHEMA_MISSING), "0");
    CHECK_TEXT(ask("SELECT string_agg(relname, ',') FROM pg_class WHERE relkind = 'r' AND "
                   "relnamespace = '" PROGRAM_SCHEMA "'::regnamespace AND relname NOT IN "
                   "('schema_migrations', 'unnumbered_files') AND relname NOT IN "
                   "(SELECT name FROM " PROGRAM_SCHEMA_TABLES ")"),
               "");
    CHECK_OK(migrate_check_tables(pg, &err), &err);
    script("DROP TABLE " PROGRAM_SCHEMA ".outbox, " PROGRAM_SCHEMA ".consumer_offsets");
    CHECK(!migrate_check_tables(pg, &err));
    CHECK_INT(err.kind, ERR_INPUT);
    CHECK_TEXT(err.text, "missing in the database: aggregator_state.consumer_offsets, "
                         "aggregator_state.outbox: run `aggregator migrate`");
    CHECK_INT(run(), 6);
    CHECK_OK(migrate_check_tables(pg, &err), &err);
    CHECK_TEXT(ask("SELECT count(about) FROM " PROGRAM_SCHEMA ".outbox"), "0");
    CHECK_INT(run(), 0);
    end();
}

static void a_role_with_the_schemas_name_is_refused_before_anything_is_applied(void) {
    char as_role[600];
    begin();
    script("DROP SCHEMA " PROGRAM_SCHEMA " CASCADE; DROP TABLE schema_migrations; "
           "CREATE ROLE " PROGRAM_SCHEMA " SUPERUSER LOGIN");
    snprintf(as_role, sizeof as_role, "%s?options=-c%%20role%%3D" PROGRAM_SCHEMA, url);
    config.postgres.url = as_role;
    CHECK_INT(run(), -1);
    script("DROP ROLE " PROGRAM_SCHEMA);
    CHECK_INT(err.kind, ERR_INPUT);
    CHECK_HAS(err.text, "the role aggregator_state has the name of the program's schema");
    CHECK_TEXT(ask("SELECT to_regnamespace('" PROGRAM_SCHEMA "') IS NULL AND "
                   "to_regclass('schema_migrations') IS NULL"),
               "t");
    end();
}

static void *run_in_thread(void *argument) {
    int *applied = argument;
    struct err reason = {0};
    bool has_citus;
    CHECK_OK(migrate_run(&config, applied, &has_citus, &reason), &reason);
    return NULL;
}

static void runs_at_once_apply_each_file_once(void) {
    begin();
    write_file("0001_first.sql", "CREATE TABLE steps (a int); SELECT pg_sleep(0.05);");
    write_file("0002_second.sql", "INSERT INTO steps VALUES (2);");
    pthread_t threads[4];
    int applied[4] = {0}, sum = 0;
    for (size_t i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, run_in_thread, &applied[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        sum += applied[i];
    }
    CHECK_INT(sum, 2);
    CHECK_TEXT(ask("SELECT count(*) FROM steps"), "1");
    end();
}

static void the_shipped_files_apply_to_an_empty_schema(void) {
    begin();
    config.scripts.sql = "sql";
    CHECK(run() > 0);
    if (err.kind != ERR_NONE) {
        TEST_FAIL("%s", err.text);
    }
    CHECK_INT(pending(), 0);
    end();
}

static void an_absent_database_is_an_outage(void) {
    begin();
    config.postgres.url = "postgresql://127.0.0.1:1/x";
    CHECK_INT(run(), -1);
    CHECK_INT(err.kind, ERR_UNAVAILABLE);
    end();
}

/* A session lock would stay on the pooler's connection, and block its next client. */
static void no_lock_is_left_behind_a_pooler(void) {
    char pooled[256];
    begin();
    script("DROP DATABASE IF EXISTS test_migrate_pooled");
    script("CREATE DATABASE test_migrate_pooled TEMPLATE template0");
    snprintf(pooled, sizeof pooled, "postgresql://ras@127.0.0.1:%d/test_migrate_pooled",
             atoi(strrchr(test_url("PGBOUNCER_TEST_URL"), ':') + 1));
    config.postgres.url = pooled;
    write_file("0001_first.sql", "CREATE TABLE steps (a int);");
    CHECK_INT(run(), program_files() + 1);
    CHECK_TEXT(ask("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
                   "(SELECT oid FROM pg_database WHERE datname = 'test_migrate_pooled')"),
               "0");
    CHECK_INT(run(), 0);
    script("DROP DATABASE test_migrate_pooled WITH (FORCE)");
    end();
}

static const struct test_case cases[] = {
    {"files are applied in order, once", files_are_applied_in_order_once},
    {"a file that changed is refused", a_file_that_changed_is_refused},
    {"a file replaces an earlier text that it names",
     a_file_replaces_an_earlier_text_that_it_names},
    {"a file older than the newest applied is refused",
     a_file_older_than_the_newest_applied_is_refused},
    {"a file that fails is rolled back and named", a_file_that_fails_is_rolled_back_and_named},
    {"a file that ends its transaction is refused", a_file_that_ends_its_transaction_is_refused},
    {"what a file sets is for that file alone", what_a_file_sets_is_for_that_file_alone},
    {"a search_path without a schema is refused before anything is applied",
     a_search_path_without_a_schema_is_refused_before_anything_is_applied},
    {"bad names and files are refused", bad_names_and_files_are_refused},
    {"a file without a statement is refused until it has one",
     a_file_without_a_statement_is_refused_until_it_has_one},
    {"a file without a number is applied whenever it has changed",
     a_file_without_a_number_is_applied_whenever_it_has_changed},
    {"the program's tables have a schema of their own",
     the_programs_tables_have_a_schema_of_their_own},
    {"a missing table of the program is named and created again",
     a_missing_table_of_the_program_is_named_and_created_again},
    {"a role with the schema's name is refused before anything is applied",
     a_role_with_the_schemas_name_is_refused_before_anything_is_applied},
    {"runs at once apply each file once", runs_at_once_apply_each_file_once},
    {"the shipped files apply to an empty schema", the_shipped_files_apply_to_an_empty_schema},
    {"an absent database is an outage", an_absent_database_is_an_outage},
    {"no lock is left behind a pooler", no_lock_is_left_behind_a_pooler},
};

TEST_MAIN(cases)
