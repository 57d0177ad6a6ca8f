/* Metrics under the platform's names. */
#include "monitor/metric_aliases.h"
#include "monitor/metrics_page.h"
#include "test.h"

static const char *with_platform_names(const char *service, const char *page) {
    static struct buffer text;
    buffer_clear(&text);
    buffer_append_text(&text, page);
    metric_aliases_append(&text, service);
    CHECK(strncmp(text.data, page, strlen(page)) == 0); /* ours stay */
    return text.data + strlen(page);
}

static void a_family_has_the_services_name_and_the_platforms_labels(void) {
    CHECK_TEXT(
        with_platform_names(
            "result-aggregator.1",
            "# HELP ras_db_operations_total Statements.\n"
            "# TYPE ras_db_operations_total counter\n"
            "ras_db_operations_total{operation=\"commit_batch\",status=\"success\"} 7\n"
            "ras_db_operations_total{operation=\"read\",status=\"error\"} 2\n"
            "# HELP ras_other Other.\n"
            "# TYPE ras_other gauge\n"
            "ras_other 1\n"),
        "# HELP result_aggregator_1_database_transactions_total As ras_db_operations_total.\n"
        "# TYPE result_aggregator_1_database_transactions_total counter\n"
        "result_aggregator_1_database_transactions_total"
        "{operation=\"commit_batch\",result=\"success\"} 7\n"
        "# HELP result_aggregator_1_database_errors_total As ras_db_operations_total.\n"
        "# TYPE result_aggregator_1_database_errors_total counter\n"
        "result_aggregator_1_database_errors_total{operation=\"read\",error_type=\"error\"} 2\n");
}

static void a_histogram_of_successes_and_one_of_failures_are_one_family(void) {
    CHECK_TEXT(with_platform_names(
                   "s",
                   "# HELP ras_db_failed_operation_duration_seconds Failed.\n"
                   "# TYPE ras_db_failed_operation_duration_seconds histogram\n"
                   "ras_db_failed_operation_duration_seconds_sum{operation=\"a\"} 1\n"
                   "# HELP ras_db_operation_duration_seconds Good.\n"
                   "# TYPE ras_db_operation_duration_seconds histogram\n"
                   "ras_db_operation_duration_seconds_bucket{operation=\"a\",le=\"+Inf\"} 3\n"),
               "# HELP s_database_query_duration_seconds As ras_db_operation_duration_seconds.\n"
               "# TYPE s_database_query_duration_seconds histogram\n"
               "s_database_query_duration_seconds_bucket"
               "{table=\"all\",result=\"success\",operation=\"a\",le=\"+Inf\"} 3\n"
               "s_database_query_duration_seconds_sum"
               "{table=\"all\",result=\"error\",operation=\"a\"} 1\n");
}

static void the_outboxs_families_have_the_label_service(void) {
    CHECK_TEXT(with_platform_names("a\"b", "# HELP ras_outbox_depth Depth.\n"
                                           "# TYPE ras_outbox_depth gauge\n"
                                           "ras_outbox_depth 4\n"
                                           "# HELP ras_outbox_messages_total Given.\n"
                                           "# TYPE ras_outbox_messages_total counter\n"
                                           "ras_outbox_messages_total{outcome=\"known\"} 9\n"
                                           "ras_outbox_messages_total{outcome=\"pending\"} 5\n"),
               "# HELP outbox_queue_depth As ras_outbox_depth.\n"
               "# TYPE outbox_queue_depth gauge\n"
               "outbox_queue_depth{service=\"a\\\"b\"} 4\n"
               "# HELP outbox_events_added_total As ras_outbox_messages_total.\n"
               "# TYPE outbox_events_added_total counter\n"
               "outbox_events_added_total{service=\"a\\\"b\",event_type=\"unknown\"} 5\n");
}

static void a_page_without_these_metrics_is_unchanged(void) {
    CHECK_TEXT(with_platform_names("s", ""), "");
    CHECK_TEXT(with_platform_names("s", "# HELP ras_db_operations Not it.\n"), "");
}

static void names_begin_with_the_services_prefix(void) {
    struct buffer page = {0};
    buffer_append_text(&page, "# HELP ras_a Errors of ras_b.\n"
                              "# TYPE ras_a counter\n"
                              "ras_a{topic=\"ras_x ras_y\"} 1\n"
                              "own_ras_total 2\n"
                              "ras_b 3\n");
    metrics_page_rename(&page, "1a-b");
    CHECK_TEXT(page.data, "# HELP _a_b_a Errors of _a_b_b.\n"
                          "# TYPE _a_b_a counter\n"
                          "_a_b_a{topic=\"ras_x ras_y\"} 1\n"
                          "own_ras_total 2\n"
                          "_a_b_b 3\n");
    buffer_free(&page);
}

static const struct test_case cases[] = {
    {"a family has the service's name and the platform's labels",
     a_family_has_the_services_name_and_the_platforms_labels},
    {"a histogram of successes and one of failures are one family",
     a_histogram_of_successes_and_one_of_failures_are_one_family},
    {"the outbox's families have the label service", the_outboxs_families_have_the_label_service},
    {"names begin with the service's prefix", names_begin_with_the_services_prefix},
    {"a page without these metrics is unchanged", a_page_without_these_metrics_is_unchanged},
};

TEST_MAIN(cases)
