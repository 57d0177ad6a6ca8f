/* Declarations of reactions. */
#include "declarations.h"

/* Removes the reaction: the other cases run without one. */
static void refuses_reaction(const char *text, const char *query, const char *wanted) {
    make_folders();
    write_file("queries/facts.sql", query);
    write_file("reactions/a.lua", text);
    CHECK_HAS(error_with(NULL, NULL), wanted);
    remove_file("reactions/a.lua");
    remove_file("queries/facts.sql");
}

static void names_wrong_words_of_a_reaction(void) {
    static const char facts[] = "SELECT unnest(:keys::text[]) AS key";
    static const struct {
        const char *declaration, *wanted;
    } table[] = {
        {"return { query = 'facts', publish = tostring }", "reaction: `follows` is missing: the "},
        {"return { follows = { t = 'id' }, publish = tostring }", "reaction: `query` is missing: "},
        {"return { follows = { t = 'id' }, query = 'facts' }", "reaction: `publish` is missing: "},
        {"return { follow = { t = 'id' }, query = 'facts', publish = tostring }",
         "no key \"follow\": did you mean \"follows\"?"},
        {"return { follows = {}, query = 'facts', publish = tostring }",
         "`follows` is empty: name at least one table"},
        {"return { follows = { 't' }, query = 'facts', publish = tostring }",
         "this table is a number"},
        {"return { follows = { t = 1 }, query = 'facts', publish = tostring }",
         "this column is a number"},
        {"return {\nfollows = { tt = 'id' }, query = 'facts', publish = tostring }",
         "reactions/a.lua:2: reaction: no table of the view \"tt\": did you mean \"t\"?"},
        {"return { follows = { t = 'is' }, query = 'facts', publish = tostring }",
         "no column of text, uuid, integer or bigint of t \"is\": did you mean \"id\"?"},
        {"return { follows = { t = 'id' }, query = 'fatcs', publish = tostring }",
         "no query in sql/queries \"fatcs\": did you mean \"facts\"?"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        refuses_reaction(table[i].declaration, facts, table[i].wanted);
    }
    refuses_reaction("local pg = require('pg')\n"
                     "return { follows = { t = 'id' }, query = 'facts', publish = tostring }",
                     facts, "reactions/a.lua:1: pg: a reaction depends on its row alone");
    refuses_reaction("local clock = require('clock')\n"
                     "return { follows = { t = 'id' }, query = 'facts', publish = function()\n"
                     "return { clock.rfc3339(0), clock.wall() } end }",
                     facts, "reactions/a.lua:1: clock: a reaction depends on its row alone");
    refuses_reaction("return { follows = { t = 'id' }, query = 'facts', publish = tostring }",
                     "SELECT :key::text", "takes exactly one parameter, :keys");
}

static void omits_problems_that_follow_from_a_problem_of_the_view(void) {
    make_folders();
    write_file("queries/facts.sql", "SELECT unnest(:keys::text[]) AS key");
    write_file("reactions/a.lua",
               "return { follows = { t = 'id' }, query = 'facts', publish = tostring }");
    const char *got = error_with("view.lua", "return { { name = 't', ky = { 'id' } } }");
    CHECK_HAS(got, "view.lua");
    CHECK(!strstr(got, "reactions/a.lua"));
    remove_file("reactions/a.lua");
    remove_file("queries/facts.sql");
}

static void accepts_a_good_reaction(void) {
    make_folders();
    write_file("queries/facts.sql", "SELECT unnest(:keys::text[]) AS key");
    write_file("reactions/a.lua",
               "local clock = require('clock')\n"
               "return { follows = { t = 'id' }, query = 'facts', publish = function(row)\n"
               "return { value = { at = clock.rfc3339(row.at) } } end }");
    CHECK_TEXT(error_with(NULL, NULL), "");
    remove_file("reactions/a.lua");
    remove_file("queries/facts.sql");
}

static const struct test_case cases[] = {
    {"names wrong words of a reaction", names_wrong_words_of_a_reaction},
    {"omits problems that follow from a problem of the view",
     omits_problems_that_follow_from_a_problem_of_the_view},
    {"accepts a good reaction", accepts_a_good_reaction},
};

TEST_MAIN(cases)
