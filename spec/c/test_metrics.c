/* metrics: counting and rendering. */
#include <pthread.h>
#include <stdatomic.h>

#include "base/metrics.h"
#include "test.h"

static const char *rendered(void) {
    static struct buffer text;
    buffer_clear(&text);
    metrics_render(&text);
    return text.data;
}

static struct metric *counter(const char *name, const char *labels) {
    return metric_family(METRIC_COUNTER, name, "Help.", labels);
}

static void renders_families_by_name_and_cells_by_labels(void) {
    struct metric *second = counter("t_b", "x"), *first = counter("t_a", "");
    metric_add(metric_cell(second, "2"), 2);
    metric_add(metric_cell(second, "1"), 0.1);
    metric_add(metric_cell(first), 1);
    CHECK(strstr(rendered(), "# HELP t_a Help.\n# TYPE t_a counter\nt_a 1\n"
                             "# HELP t_b Help.\n# TYPE t_b counter\n"
                             "t_b{x=\"1\"} 0.1\nt_b{x=\"2\"} 2\n"));
}

static void escapes_label_values_and_help(void) {
    metric_set(metric_cell(metric_family(METRIC_GAUGE, "t_escape", "a\nb", "x"), "\"\\\n"), -1);
    CHECK(strstr(rendered(), "# HELP t_escape a\\nb\n"));
    CHECK(strstr(rendered(), "t_escape{x=\"\\\"\\\\\\n\"} -1\n"));
}

static void histograms_count_up_to_each_bound(void) {
    struct metric_cell *cell =
        metric_cell(metric_family(METRIC_HISTOGRAM, "t_seconds", "Help.", "x"), "y");
    metric_observe(cell, 0.005);
    metric_observe(cell, 0.0051);
    metric_observe(cell, 99);
    CHECK(strstr(rendered(), "t_seconds_bucket{x=\"y\",le=\"0.0025\"} 0\n"));
    CHECK(strstr(rendered(), "t_seconds_bucket{x=\"y\",le=\"0.005\"} 1\n"));
    CHECK(strstr(rendered(), "t_seconds_bucket{x=\"y\",le=\"10\"} 2\n"));
    CHECK(strstr(rendered(), "t_seconds_bucket{x=\"y\",le=\"+Inf\"} 3\n"
                             "t_seconds_sum{x=\"y\"} 99.0101\nt_seconds_count{x=\"y\"} 3\n"));
    CHECK(metric_value(cell) == 3);
}

static void a_family_and_a_cell_are_found_again(void) {
    struct metric *metric = counter("t_again", "x,y");
    CHECK(counter("t_again", "x,y") == metric);
    CHECK(metric_cell(metric, "a", "b") == metric_cell(metric, "a", "b"));
    CHECK(metric_cell(metric, "a", "b") != metric_cell(metric, "b", "a"));
}

static void past_the_bound_cells_are_shared(void) {
    struct metric *metric = counter("t_many", "x");
    struct metric_cell *first = NULL, *last = NULL, *before = NULL;
    for (int i = 0; i < 3000; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        before = last;
        last = metric_cell(metric, value);
        first = first ? first : last;
    }
    CHECK(last == before);
    CHECK(metric_cell(metric, "other") == last);
    CHECK(metric_cell(metric, "0") == first);
}

static void hidden_families_are_not_rendered(void) {
    struct buffer before = {0};
    buffer_append_text(&before, rendered());
    metric_add(metric_unshown(METRIC_COUNTER), 7);
    metric_set(metric_unshown(METRIC_GAUGE), 7);
    metric_observe(metric_unshown(METRIC_HISTOGRAM), 7);
    CHECK_TEXT(rendered(), before.data);
    buffer_free(&before);
}

/* Threads make and move cells while another renders. */
static _Atomic bool done;

static void *move_cells(void *name) {
    struct metric *metric = counter("t_threads", "x");
    for (int i = 0; i < 2000; i++) {
        char value[32];
        snprintf(value, sizeof value, "%s%d", (const char *)name, i % 100);
        metric_add(metric_cell(metric, value), 1);
        metric_add(metric_cell(metric, "shared"), 1);
    }
    return NULL;
}

static void *render_on(void *context) {
    struct buffer text = {0};
    (void)context;
    while (!atomic_load(&done)) {
        buffer_clear(&text);
        metrics_render(&text);
    }
    buffer_free(&text);
    return NULL;
}

static void counts_exactly_while_rendered(void) {
    pthread_t threads[4], reader;
    char *names[] = {"a", "b", "c", "d"};
    pthread_create(&reader, NULL, render_on, NULL);
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, move_cells, names[i]);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    atomic_store(&done, true);
    pthread_join(reader, NULL);
    CHECK(metric_value(metric_cell(counter("t_threads", "x"), "shared")) == 8000);
    CHECK(metric_value(metric_cell(counter("t_threads", "x"), "c7")) == 20);
}

static struct metric *declare(struct metric_scope *scope, const char *name, const char *labels) {
    struct err err = {0};
    struct metric *metric = metric_scope_family(scope, METRIC_COUNTER, name, "Help.", labels, &err);
    CHECK_TEXT(err.text, "");
    return metric;
}

static void a_scopes_metrics_are_on_the_page_while_it_is_shown(void) {
    struct metric_scope *first = metric_scope_create(), *second = metric_scope_create();
    metric_add(metric_cell(declare(first, "s_stays", "x"), "1"), 2);
    metric_add(metric_cell(declare(first, "s_goes", "")), 1);
    CHECK(!strstr(rendered(), "s_stays"));
    metric_scope_show(first);
    CHECK(strstr(rendered(), "s_stays{x=\"1\"} 2\n") && strstr(rendered(), "s_goes 1\n"));
    metric_add(metric_cell(declare(second, "s_stays", "x"), "1"), 3);
    metric_add(metric_cell(declare(second, "s_comes", "")), 1);
    CHECK(strstr(rendered(), "s_goes") && !strstr(rendered(), "s_comes"));
    metric_scope_show(second);
    metric_scope_destroy(first);
    CHECK(strstr(rendered(), "s_stays{x=\"1\"} 5\n") && strstr(rendered(), "s_comes 1\n"));
    CHECK(!strstr(rendered(), "s_goes"));
    metric_scope_destroy(second);
    CHECK(!strstr(rendered(), "s_stays") && !strstr(rendered(), "s_comes"));
}

static void another_scope_may_give_a_name_other_labels(void) {
    struct metric_scope *first = metric_scope_create(), *second = metric_scope_create(),
                        *refused = metric_scope_create();
    metric_add(metric_cell(declare(first, "s_asked", "x"), "1"), 2);
    metric_scope_show(first);
    declare(refused, "s_asked", "");
    metric_scope_destroy(refused);
    metric_add(metric_cell(declare(second, "s_asked", "x,y"), "1", "2"), 1);
    metric_scope_show(second);
    CHECK(strstr(rendered(), "s_asked{x=\"1\",y=\"2\"} 1\n"));
    CHECK(!strstr(rendered(), "s_asked{x=\"1\"} "));
    metric_scope_show(first);
    CHECK(strstr(rendered(), "s_asked{x=\"1\"} 2\n"));
    metric_scope_destroy(second);
    metric_scope_destroy(first);
}

static void a_name_has_one_meaning_within_a_scope_and_beside_the_program(void) {
    struct metric_scope *scope = metric_scope_create();
    struct err err = {0};
    declare(scope, "s_once", "x");
    CHECK(!metric_scope_family(scope, METRIC_COUNTER, "s_once", "Help.", "", &err));
    CHECK_HAS(err.text, "s_once is already declared as a counter with labels \"x\"");
    CHECK(!metric_scope_family(scope, METRIC_COUNTER, "s_once", "Other.", "x", &err));
    counter("t_own", "");
    CHECK(!metric_scope_family(scope, METRIC_COUNTER, "t_own", "Help.", "", &err));
    CHECK_HAS(err.text, "t_own belongs to the program");
    declare(scope, "t_later", "x");
    metric_scope_show(scope);
    metric_add(metric_cell(counter("t_later", "")), 7); /* asked for after the scripts' */
    CHECK(strstr(rendered(), "t_later 7\n"));
    metric_scope_destroy(scope);
    CHECK(strstr(rendered(), "t_later 7\n"));
}

static void hidden_series_continue_to_count(void) {
    struct metric *metric = counter("t_selected", "x");
    metric_add(metric_cell(metric, "old"), 1);
    metric_show_only(metric, (const char *const[]){"new"}, 1);
    metric_add(metric_cell(metric, "tried"), 1);
    CHECK(strstr(rendered(), "t_selected{x=\"new\"} 0\n"));
    CHECK(!strstr(rendered(), "\"old\"") && !strstr(rendered(), "\"tried\""));
    metric_show_only(metric, (const char *const[]){"old"}, 1);
    CHECK(strstr(rendered(), "t_selected{x=\"old\"} 1\n"));
}

static void a_forgotten_series_leaves_the_page(void) {
    struct metric *metric = counter("t_forgotten", "x");
    struct metric_cell *first = metric_cell(metric, "1"), *second = metric_cell(metric, "2");
    metric_forget(metric, first);
    CHECK(!strstr(rendered(), "t_forgotten{x=\"1\"}"));
    CHECK(metric_cell(metric, "2") == second);
}

/* Many, so that slots of the table are shared and moved. */
static void forgotten_series_leave_the_others_in_place(void) {
    struct metric *metric = counter("t_many_forgotten", "x");
    struct metric_cell *cells[600];
    for (int i = 0; i < 600; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        cells[i] = metric_cell(metric, value);
    }
    for (int i = 0; i < 600; i += 2) {
        metric_forget(metric, cells[i]);
    }
    for (int i = 1; i < 600; i += 2) {
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        CHECK(metric_cell(metric, value) == cells[i]);
    }
    CHECK(!strstr(rendered(), "t_many_forgotten{x=\"42\"}"));
}

static void a_series_that_two_keep_stays_until_both_forget_it(void) {
    struct metric *metric = counter("t_kept", "x");
    const char *const values[] = {"1"};
    struct metric_cell *one = metric_keep(metric, values, 1);
    struct metric_cell *other = metric_keep(metric, values, 1);
    CHECK(one == other);
    metric_forget(metric, one);
    CHECK(strstr(rendered(), "t_kept{x=\"1\"} 0\n"));
    metric_forget(metric, other);
    CHECK(!strstr(rendered(), "t_kept{x=\"1\"}"));
}

static void past_the_bound_gauges_are_left_out(void) {
    struct metric *metric = metric_family(METRIC_GAUGE, "t_bounded_gauge", "Help.", "x");
    for (int i = 0; i < 2001; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        metric_set(metric_cell(metric, value), i);
    }
    CHECK(strstr(rendered(), "t_bounded_gauge{x=\"1999\"} 1999\n"));
    CHECK(!strstr(rendered(), "t_bounded_gauge{x=\"2000\"}"));
    CHECK(!strstr(rendered(), "t_bounded_gauge{x=\"other\"}"));
    CHECK(strstr(rendered(), "ras_metrics_left_out_total{metric=\"t_bounded_gauge\"} 1\n"));
}

static const struct test_case cases[] = {
    {"renders families by name and cells by labels", renders_families_by_name_and_cells_by_labels},
    {"escapes label values and help", escapes_label_values_and_help},
    {"histograms count up to each bound", histograms_count_up_to_each_bound},
    {"a family and a cell are found again", a_family_and_a_cell_are_found_again},
    {"past the bound, cells are shared", past_the_bound_cells_are_shared},
    {"hidden families are not rendered", hidden_families_are_not_rendered},
    {"counts exactly while rendered", counts_exactly_while_rendered},
    {"a scope's metrics are on the page while it is shown",
     a_scopes_metrics_are_on_the_page_while_it_is_shown},
    {"another scope may give a name other labels", another_scope_may_give_a_name_other_labels},
    {"a name has one meaning within a scope and beside the program",
     a_name_has_one_meaning_within_a_scope_and_beside_the_program},
    {"hidden series continue to count", hidden_series_continue_to_count},
    {"a forgotten series leaves the page", a_forgotten_series_leaves_the_page},
    {"forgotten series leave the others in place", forgotten_series_leave_the_others_in_place},
    {"a series that two keep stays until both forget it",
     a_series_that_two_keep_stays_until_both_forget_it},
    {"past the bound, gauges are left out", past_the_bound_gauges_are_left_out},
};

TEST_MAIN(cases)
