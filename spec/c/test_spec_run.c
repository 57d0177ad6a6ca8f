/* The runner of specs: the sandbox and limits of production apply, and each failure has its line.
 * Needs busted, no server. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spec/spec.h"
#include "files.h"
#include "scripts.h"

static char folder[] = "/tmp/aggregator-specs.XXXXXX";
static char output[16384]; /* of the last run */
static struct spec_totals totals;

static const char view[] = "return { { name = 't', key = { { 'id', 'text' } }, groups = {"
                           "{ name = 'g', rule = 'latest', columns = { { 'c', 'text' } } } } } }";
static const char handler[] =
    "return { topics = { 'a' }, fields = { id = 'id' }, handle = function(event, view)\n"
    "  if event.id == 'loop' then while true do pcall(function() while true do end end) end end\n"
    "  view.t:merge(event.id, 'g', { c = 'x' })\n"
    "  view:publish({ topic = 'news', key = event.id, value = { 1 }, identity = 'i', at = "
    "1751097600000000 })\n"
    "  if event.id == 'raise' then error('no') end\n"
    "end }";
static const char route[] = "return { path = '/', handle = function() return { status = 200, "
                            "body = require('clock').name } end }";
static const char reaction[] =
    "return { follows = { t = 'id' }, query = 'facts', publish = function(row)\n"
    "  if row.word == 'none' then return nil end\n"
    "  return { topic = 'news', key = row.key, value = { word = row.word }, at = "
    "1751097600000000,\n"
    "    identity = row.key, headers = { h = 'x' } }\n"
    "end }";
static const char clock_double[] =
    "return { binding = { name = 'the double' }, reset = function() end }";

static const char long_route[] = "return { path = '/long', stream = true, handle = function()\n"
                                 "  return { status = 200, stream = function(write)\n"
                                 "    write('a') write('') write('bc') end } end }";
static const char broken_route[] =
    "return { path = '/broken', stream = true, handle = function()\n"
    "  return { status = 200, stream = function(write) write('a') error('no') end } end }";

static const char *const folders[] = {"handlers", "routes",  "reactions",
                                      "queries",  "support", "support/doubles"};
static const struct {
    const char *name;
    const char *text;
} files[] = {{"envelope.lua", SCRIPTS_ENVELOPE},
             {"view.lua", view},
             {"lib.lua", "return {}"},
             {"handlers/h.lua", handler},
             {"routes/r.lua", route},
             {"routes/long.lua", long_route},
             {"routes/broken.lua", broken_route},
             {"reactions/n.lua", reaction},
             {"queries/facts.sql", "SELECT unnest(:keys::text[]) AS key"},
             {"support/doubles/clock.lua", clock_double},
             {"output", ""}};

static void remove_all(void) {
    char path[256];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i].name);
        remove(path);
    }
    for (size_t i = sizeof folders / sizeof *folders; i > 0; i--) {
        snprintf(path, sizeof path, "%s/%s", folder, folders[i - 1]);
        rmdir(path);
    }
    rmdir(folder);
}

/* Once; the folder goes when the program ends. */
static void make_all(void) {
    static bool made;
    char path[256];
    if (made) {
        return;
    }
    made = mkdtemp(folder) != NULL;
    CHECK(made);
    atexit(remove_all);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, folders[i]);
        mkdir(path, 0700);
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        write_in(folder, files[i].name, files[i].text);
    }
}

/* What the call prints goes to `output`. */
static void run_captured(struct spec_run *run, const char *path) {
    char log[256];
    snprintf(log, sizeof log, "%s/output", folder);
    fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    int file = open(log, O_RDWR | O_CREAT | O_TRUNC, 0600);
    dup2(file, STDOUT_FILENO);
    spec_run_file(run, path, &totals);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    lseek(file, 0, SEEK_SET);
    ssize_t len = read(file, output, sizeof output - 1);
    output[len > 0 ? len : 0] = '\0';
    close(file);
}

static void run_spec(const char *text) {
    char support[256], path[256];
    struct config config = {.refs = 1};
    make_all();
    config.scripts.root = config.scripts.sql = folder;
    config.scripts.memory_limit_mb = 16;
    config.ingest.event_max_merge_bytes = 16 * 1024 * 1024;
    config.scripts.handler_timeout_ms = 100;
    config.scripts.route_timeout_ms = 300;
    snprintf(support, sizeof support, "%s/support", folder);
    snprintf(path, sizeof path, "%s/x_spec.lua", folder);
    struct spec_options options = {.support = support};
    struct err err = {0};
    struct spec_run *run = spec_run_create(&config, &options, &err);
    CHECK_TEXT(err.text, "");
    totals = (struct spec_totals){0};
    write_in(folder, "x_spec.lua", text);
    if (run) {
        run_captured(run, path);
        spec_run_destroy(run);
    }
    unlink(path);
}

static void expect_counts(int passed, int failed, int skipped) {
    CHECK_INT(totals.passed, passed);
    CHECK_INT(totals.failed, failed);
    CHECK_INT(totals.skipped, skipped);
}

static void expect_output(const char *part) {
    if (!strstr(output, part)) {
        CHECK_TEXT(output, part);
    }
}

static void counts_passed_failed_and_skipped_tests(void) {
    run_spec("it('a', function() end) it('b', function() assert.are.equal(1, 2) end)\n"
             "pending('c') it('d', function() pending('later') end)");
    expect_counts(1, 1, 2);
    expect_output("x_spec.lua:1: b: Expected objects to be equal.");
}

static void reports_what_keeps_a_file_from_running(void) {
    run_spec("it('a', function( end)");
    expect_counts(0, 1, 0);
    expect_output("x_spec.lua:1: ");
    run_spec("local nothing = 1");
    expect_counts(0, 1, 0);
    expect_output("no test in this file");
    run_spec("describe('d', function() error('in describe') end)");
    expect_counts(0, 1, 0);
    expect_output("x_spec.lua:1: d: in describe");
}

static void reports_failures_outside_of_a_test(void) {
    run_spec("describe('d', function()\n"
             "  before_each(function() error('in before') end)\n"
             "  it('a', function() end)\n"
             "end)\n"
             "describe('e', function() setup(function() error('in setup') end)\n"
             "  it('a', function() end) end)\n"
             "describe('f', function() teardown(function() error('in teardown') end)\n"
             "  it('a', function() end) end)");
    CHECK_INT(totals.passed, 1);
    expect_output("x_spec.lua:2: d before_each: in before");
    expect_output("x_spec.lua:5: e setup: in setup");
    expect_output("x_spec.lua:7: f teardown: in teardown");
}

static void ends_loops_and_goes_on(void) {
    run_spec("it('a', function() while true do end end)\n"
             "it('b', function() while true do pcall(function() while true do end end) end end)\n"
             "it('c', function() end)");
    expect_counts(1, 2, 0);
    expect_output("x_spec.lua:1: a: the script took too long");
    expect_output("x_spec.lua:2: b: the script took too long");
}

static void bounds_memory_and_goes_on(void) {
    /* In large steps: a slow machine must meet the cap before the time is over. */
    run_spec(
        "it('a', function() local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e6) .. i end end)\n"
        "it('b', function() assert.are.same({ 1 }, { 1 }) end)");
    expect_counts(1, 1, 0);
    expect_output("x_spec.lua:1: a: the script met the memory cap");
}

static void shows_specs_the_sandbox_only(void) {
    run_spec("for _, name in ipairs({ 'io', 'os', 'debug', 'package', 'jit', 'ffi', 'load',\n"
             "  'loadstring', 'loadfile', 'dofile', 'setfenv', 'getfenv', 'print' }) do\n"
             "  it(name, function() assert.is_nil(rawget(_G, name)) end)\n"
             "end\n"
             "it('table', function() assert.is_nil(table.unpack) end)\n"
             "it('modules', function() assert.has_error(function() require('busted') end) end)\n"
             "it('string', function() assert.is_nil(string.dump) end)");
    expect_counts(16, 0, 0);
}

static void refuses_globals(void) {
    run_spec("it('reads', function() return nosuch end)\nit('sets', function() x = 1 end)");
    expect_counts(0, 2, 0);
    expect_output("x_spec.lua:1: reads: global \"nosuch\" is not declared");
    expect_output("x_spec.lua:2: sets: global \"x\" is not declared");
}

static const char event[] = "local handlers = require('testing.handlers')\n"
                            "local function event(id) return { event_id = "
                            "'00000000-0000-4000-8000-000000000001', event_type = 'a', "
                            "source_service = 's', event_timestamp = '2025-06-28T08:00:00Z', "
                            "id = id } end\n";

static void runs_handlers_as_production_does(void) {
    char text[2048];
    snprintf(text, sizeof text,
             "%sit('a', function()\n"
             "  local outcome = handlers.run('handlers/h', event('1'))\n"
             "  assert.are.equal('applied', outcome.result)\n"
             "  assert.are.same({ { id = '1', g = { c = 'x', at = '2025-06-28T08:00:00.000000Z',\n"
             "    event_id = '00000000-0000-4000-8000-000000000001' } } }, outcome.rows.t)\n"
             "  assert.are.same({ { topic = 'news', key = '1', value = { 1 }, text = '[1]', at = "
             "1751097600000000,\n"
             "    identity = 'i', headers = {} } }, outcome.published)\n"
             "  assert.are.same({}, handlers.run('handlers/h', event('raise')).published)\n"
             "  assert.are.equal('missing_field: id is missing',\n"
             "    handlers.run('handlers/h', event(nil)).reason)\n"
             "  local looped = handlers.run('handlers/h', event('loop')).reason\n"
             "  assert.is_truthy(looped:find('^handler_timeout: .*h.lua:2'), looped)\n"
             "end)\nit('b', function() handlers.run('handlers/none', {}) end)",
             event);
    run_spec(text);
    expect_counts(1, 1, 0);
    expect_output("b: no handler \"handlers/none\": there is handlers/h (it would be "
                  "scripts/handlers/none.lua)");
}

static void hands_rows_to_reactions(void) {
    run_spec("local reactions = require('testing.reactions')\n"
             "it('a', function()\n"
             "  assert.are.same({ { topic = 'news', key = 'k', value = { word = 'w' }, at = "
             "1751097600000000,\n"
             "    text = '{\"word\":\"w\"}', identity = 'k', headers = { h = 'x' } } },\n"
             "    reactions.run('reactions/n', { key = 'k', word = 'w' }))\n"
             "  assert.are.same({}, reactions.run('reactions/n', { key = 'k', word = 'none' }))\n"
             "  local none, why = reactions.run('reactions/n', { word = 'w' })\n"
             "  assert.is_nil(none)\n"
             "  assert.is_truthy(why:find('reactions/n.lua', 1, true), why)\n"
             "  assert.is_truthy(why:find('\"key\"', 1, true), why)\n"
             "end)\nit('b', function() reactions.run('reactions/none', {}) end)");
    expect_counts(1, 1, 0);
    expect_output("b: no reaction \"reactions/none\": did you mean \"reactions/n\"?");
}

static void gives_scripts_the_doubles(void) {
    run_spec("it('a', function() assert.are.equal('the double',\n"
             "  require('testing.routes').call('routes/r', {}).body) end)");
    expect_counts(1, 0, 0);
}

static void collects_the_parts_of_a_streamed_response(void) {
    run_spec("local routes = require('testing.routes')\n"
             "it('a', function()\n"
             "  local whole = routes.call('routes/long', {})\n"
             "  assert.are.same({ 'a', '', 'bc' }, whole.parts)\n"
             "  assert.are.equal('abc', whole.body)\n"
             "  local broken = routes.call('routes/broken', {})\n"
             "  assert.are.equal(500, broken.status)\n"
             "  assert.are.same({ 'a' }, broken.parts)\n"
             "  assert.is_truthy(broken.failure:find('no', 1, true)) end)");
    expect_counts(1, 0, 0);
}

static void gives_each_file_a_fresh_state(void) {
    static const char text[] = "local lib = require('lib')\n"
                               "it('a', function() assert.is_nil(lib.mark) lib.mark = 1 end)";
    run_spec(text);
    expect_counts(1, 0, 0);
    run_spec(text);
    expect_counts(1, 0, 0);
}

static void reaches_nothing_outside(void) {
    run_spec("it('a', function()\n"
             "  local http = require('testing.sources').binding('http')\n"
             "  local answer, failure = http.request({ url = 'http://127.0.0.1:1/' })\n"
             "  assert.is_nil(answer)\n"
             "  assert.are.equal('unavailable: specs touch no outside system without --real',\n"
             "    failure.message) end)");
    expect_counts(1, 0, 0);
}

static void has_the_doubles_of_the_program(void) {
    run_spec("it('a', function()\n"
             "  local pg = require('doubles.pg')\n"
             "  pg.answers('facts', { { key = 'k' } })\n"
             "  assert.are.same({ { key = 'k' } }, require('pg').query('facts', { keys = {} }))\n"
             "  assert.is_nil(require('clock').wall) end)");
    expect_counts(1, 0, 0);
}

static const struct test_case cases[] = {
    {"counts passed, failed and skipped tests", counts_passed_failed_and_skipped_tests},
    {"reports what keeps a file from running", reports_what_keeps_a_file_from_running},
    {"reports failures outside of a test", reports_failures_outside_of_a_test},
    {"ends loops and goes on", ends_loops_and_goes_on},
    {"bounds memory and goes on", bounds_memory_and_goes_on},
    {"shows specs the sandbox only", shows_specs_the_sandbox_only},
    {"refuses globals", refuses_globals},
    {"runs handlers as production does", runs_handlers_as_production_does},
    {"hands rows to reactions", hands_rows_to_reactions},
    {"gives scripts the doubles", gives_scripts_the_doubles},
    {"collects the parts of a streamed response", collects_the_parts_of_a_streamed_response},
    {"has the program's doubles, unless a file replaces one", has_the_doubles_of_the_program},
    {"mutes the binding that a double stands for", reaches_nothing_outside},
    {"gives each file a fresh state", gives_each_file_a_fresh_state},
};

TEST_MAIN(cases)
