/* pg_position: order, text form and source of positions; pg_reads without replicas. Needs
 * PG_TEST_URL. */
#include "bindings/pg_position.h"
#include "bindings/pg_reads.h"
#include "bindings/pg_spare.h"
#include "bindings/pg_url.h"
#include "pg_server.h"

static struct pg_position position(uint32_t timeline, uint64_t lsn) {
    return (struct pg_position){timeline, lsn};
}

static void a_later_timeline_rules_over_any_place(void) {
    CHECK(pg_position_reached(position(1, 7), position(1, 7)));
    CHECK(pg_position_reached(position(1, 8), position(1, 7)));
    CHECK(!pg_position_reached(position(1, 6), position(1, 7)));
    CHECK(pg_position_reached(position(2, 1), position(1, 7)));
    CHECK(!pg_position_reached(position(1, 7), position(2, 1)));
    CHECK(pg_position_reached(position(1, 0), position(0, 0)));
}

static void texts_are_ordered_as_positions_are(void) {
    const struct pg_position ascending[] = {
        {1, 0xFF}, {1, 0x100}, {1, 0xABCDEF0123456789}, {2, 1}, {0x10, 0}};
    char before[PG_POSITION_DIGITS + 1] = "", text[PG_POSITION_DIGITS + 1];
    for (size_t i = 0; i < sizeof ascending / sizeof *ascending; i++) {
        struct pg_position read;
        pg_position_format(ascending[i], text);
        CHECK_INT(strlen(text), PG_POSITION_DIGITS);
        CHECK(strcmp(before, text) < 0);
        CHECK(pg_position_parse(slice_of(text), &read));
        CHECK_INT(read.timeline, ascending[i].timeline);
        CHECK(read.lsn == ascending[i].lsn);
        memcpy(before, text, sizeof text);
    }
}

static void other_texts_are_no_position(void) {
    const char *const wrong[] = {"",
                                 "1",
                                 "00000001000000000000000",
                                 "0000000100000000000000001",
                                 "0000000100000000000000g0",
                                 "000000000000000000000001"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct pg_position read = {1, 1};
        CHECK(!pg_position_parse(slice_of(wrong[i]), &read));
    }
}

static void a_commit_moves_the_position_of_the_primary(void) {
    struct pg_position before, after;
    bool in_recovery = true;
    open_server();
    CHECK_OK(pg_position_ask(pg, WAIT_MS, &before, &in_recovery, &err), &err);
    CHECK(!in_recovery && before.timeline > 0 && before.lsn > 0);
    ask(pg, "write", "CREATE TEMPORARY TABLE t AS SELECT pg_logical_emit_message(true, 'x', 'y')");
    CHECK_OK(pg_position_ask(pg, WAIT_MS, &after, NULL, &err), &err);
    CHECK(pg_position_reached(after, before) && !pg_position_reached(before, after));
    close_server();
}

static void a_url_has_a_name_without_its_secrets(void) {
    const char *const names[][2] = {
        {"postgresql://u:secret@db2:6432/app", "db2:6432"},
        {"postgresql://u:secret@a,b/app", "a,b:5432"},
        {"host=/run/postgresql user=u password=secret", "/run/postgresql:5432"},
        {"postgresql+asyncpg://[::1]:1/app", "::1:1"},
        {"postgresql:///app", "localhost:5432"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[64];
        pg_url_name(names[i][0], name, sizeof name);
        CHECK_TEXT(name, names[i][1]);
    }
}

static void without_replicas_nothing_is_read_from_one(void) {
    struct pg_reads_options options = {.primary_url = test_url("PG_TEST_URL"), .max_lag_ms = 1000};
    struct pg_read read = {0};
    struct pg_options own = {.url = options.primary_url};
    CHECK_OK(pg_reads_start(&options, &err), &err);
    CHECK(!pg_reads_on());
    CHECK(pg_reads_borrow(&read, &own, WAIT_MS) == NULL);
    pg_reads_announce(position(1, 1));
    pg_reads_forget();
    pg_reads_stop();
}

/* The primary itself is a replica that has replayed all. */
static void a_server_answers_once_it_is_known_what_was_announced(void) {
    char *urls[] = {(char *)test_url("PG_TEST_URL")};
    struct pg_reads_options options = {.primary_url = urls[0],
                                       .urls = urls,
                                       .count = 1,
                                       .max_lag_ms = 100,
                                       .wait_ms = 5,
                                       .connect_timeout_ms = 5000};
    struct pg_options own = {
        .url = urls[0], .connect_timeout_ms = 5000, .statement_timeout_ms = 5000};
    struct pg_read read = {0};
    struct pg *borrowed = NULL;
    CHECK_OK(pg_reads_start(&options, &err), &err);
    for (int64_t end_us = clock_monotonic_us() + 10000000;
         !borrowed && clock_monotonic_us() < end_us;) {
        read = (struct pg_read){0};
        borrowed = pg_reads_borrow(&read, &own, WAIT_MS);
    }
    CHECK(borrowed != NULL && read.server == 1 && read.seen.lsn > 0);
    if (borrowed) {
        pg_give_back(borrowed);
    }
    struct pg_read late = {0};
    pg_reads_announce(position(read.seen.timeline, UINT64_MAX)); /* never replayed */
    CHECK(pg_reads_borrow(&late, &own, WAIT_MS) == NULL && late.at_primary);
    pg_close_spare();
    pg_reads_stop();
}

static const struct test_case cases[] = {
    {"a later timeline rules over any place", a_later_timeline_rules_over_any_place},
    {"texts are ordered as positions are", texts_are_ordered_as_positions_are},
    {"other texts are no position", other_texts_are_no_position},
    {"a commit moves the position of the primary", a_commit_moves_the_position_of_the_primary},
    {"a url has a name without its secrets", a_url_has_a_name_without_its_secrets},
    {"without replicas nothing is read from one", without_replicas_nothing_is_read_from_one},
    {"a server answers once it is known what was announced",
     a_server_answers_once_it_is_known_what_was_announced},
};

TEST_MAIN(cases)
