/* merge: one winner whatever the order, staging undone by a discard, rows rebuilt for a bisection.
 */
#include "../../host/merge.h"
#include "../../host/hash.h"
#include "test.h"

static struct view_column text_columns[] = {{"name", VIEW_TEXT, "text"}};
static struct view_column time_columns[] = {{"seen_at", VIEW_TIMESTAMP, "timestamptz"}};
static struct view_table tables[] = {
    {.name = "things",
     .key = {{"id", VIEW_TEXT, "text"}},
     .key_count = 1,
     .content_group = -1,
     .groups = {{"newest", VIEW_LATEST, text_columns, 1},
                {"oldest", VIEW_FIRST, text_columns, 1},
                {"seen", VIEW_MIN, time_columns, 1}},
     .group_count = 3},
    {.name = "facts",
     .key = {{"id", VIEW_TEXT, "text"}, {"content_id", VIEW_CONTENT, "uuid"}},
     .key_count = 2,
     .content_group = 0,
     .groups = {{"fact", VIEW_FIRST, text_columns, 1}, {"restated", VIEW_LATEST, NULL, 0}},
     .group_count = 2},
};
static const struct view view = {tables, 2};

static struct merge_version version(int64_t at_us, uint8_t id) {
    return (struct merge_version){at_us, {id}};
}

static void stage(struct merge *merge, size_t table, size_t group, const char *text,
                  struct merge_version at) {
    struct view_value *values = arena_alloc(merge_arena(merge), 3 * sizeof *values);
    values[0] = (struct view_value){.as.text = slice_of("a")};
    values[1] = (struct view_value){.as.text = slice_of(text)};
    struct merge_op op = {.key = &values[0], .table = table, .group = group, .values = &values[1]};
    merge_stage(merge, &op, at);
}

static void stage_time(struct merge *merge, int64_t at_us) {
    struct view_value *values = arena_alloc(merge_arena(merge), 2 * sizeof *values);
    values[0] = (struct view_value){.as.text = slice_of("a")};
    values[1] = (struct view_value){.as.integer = at_us};
    struct merge_op op = {.key = &values[0], .table = 0, .group = 2, .values = &values[1]};
    merge_stage(merge, &op, version(at_us, 1));
}

static void check_text(struct merge *merge, size_t group, const char *want) {
    size_t count;
    struct merge_row *const *rows = merge_rows(merge, 0, &count);
    CHECK_INT(count, 1);
    struct slice got = rows[0]->groups[group].values[0].as.text;
    CHECK(slice_equal(got, slice_of(want)));
}

static void latest_keeps_the_newest_in_either_order(void) {
    for (int order = 0; order < 2; order++) {
        struct merge *merge = merge_create(&view);
        stage(merge, 0, 0, order ? "new" : "old", version(order ? 2 : 1, 1));
        stage(merge, 0, 0, order ? "old" : "new", version(order ? 1 : 2, 1));
        merge_accept(merge, 0);
        check_text(merge, 0, "new");
        merge_destroy(merge);
    }
}

static void first_keeps_the_earliest_in_either_order(void) {
    for (int order = 0; order < 2; order++) {
        struct merge *merge = merge_create(&view);
        stage(merge, 0, 1, order ? "new" : "old", version(order ? 2 : 1, 1));
        stage(merge, 0, 1, order ? "old" : "new", version(order ? 1 : 2, 1));
        merge_accept(merge, 0);
        check_text(merge, 1, "old");
        merge_destroy(merge);
    }
}

static void equal_times_are_decided_by_the_event_id(void) {
    for (int order = 0; order < 2; order++) {
        struct merge *merge = merge_create(&view);
        stage(merge, 0, 0, order ? "high" : "low", version(5, order ? 9 : 3));
        stage(merge, 0, 0, order ? "low" : "high", version(5, order ? 3 : 9));
        merge_accept(merge, 0);
        check_text(merge, 0, "high");
        merge_destroy(merge);
    }
}

static void min_keeps_the_smallest(void) {
    struct merge *merge = merge_create(&view);
    stage_time(merge, 7);
    stage_time(merge, 3);
    stage_time(merge, 5);
    merge_accept(merge, 0);
    size_t count;
    struct merge_row *const *rows = merge_rows(merge, 0, &count);
    CHECK_INT(count, 1);
    CHECK_INT(rows[0]->groups[2].values[0].as.integer, 3);
    CHECK(!rows[0]->groups[0].present);
    merge_destroy(merge);
}

static void a_discarded_event_leaves_nothing(void) {
    struct merge *merge = merge_create(&view);
    stage(merge, 0, 0, "gone", version(1, 1));
    merge_discard(merge);
    size_t rows, tags;
    merge_rows(merge, 0, &rows);
    merge_tags(merge, &tags);
    CHECK_INT(rows, 0);
    CHECK_INT(tags, 0);
    merge_destroy(merge);
}

static void a_range_of_events_gives_their_rows_alone(void) {
    struct merge *merge = merge_create(&view);
    stage(merge, 0, 0, "one", version(1, 1));
    merge_accept(merge, 0);
    stage(merge, 0, 0, "two", version(2, 1));
    merge_accept(merge, 1);
    check_text(merge, 0, "two");
    merge_select(merge, 0, 1);
    check_text(merge, 0, "one");
    merge_destroy(merge);
}

static void the_same_content_is_one_row_and_its_companion_follows(void) {
    struct merge *merge = merge_create(&view);
    for (int i = 0; i < 3; i++) {
        stage(merge, 1, 0, i == 2 ? "other" : "same", version(i, 1));
        stage(merge, 1, 1, "", version(i, 1));
        merge_accept(merge, (size_t)i);
    }
    size_t count;
    struct merge_row *const *rows = merge_rows(merge, 1, &count);
    CHECK_INT(count, 2);
    for (size_t i = 0; i < count; i++) {
        CHECK(rows[i]->groups[0].present && rows[i]->groups[1].present);
    }
    merge_destroy(merge);
}

static void keys_are_tags(void) {
    struct merge *merge = merge_create(&view);
    stage(merge, 0, 0, "x", version(1, 1));
    merge_accept(merge, 0);
    size_t count;
    const uint64_t *tags = merge_tags(merge, &count);
    CHECK_INT(count, 1);
    CHECK(tags[0] == hash64(slice_of("a")));
    merge_destroy(merge);
}

static const struct test_case cases[] = {
    {"latest keeps the newest in either order", latest_keeps_the_newest_in_either_order},
    {"first keeps the earliest in either order", first_keeps_the_earliest_in_either_order},
    {"equal times are decided by the event id", equal_times_are_decided_by_the_event_id},
    {"min keeps the smallest", min_keeps_the_smallest},
    {"a discarded event leaves nothing", a_discarded_event_leaves_nothing},
    {"a range of events gives their rows alone", a_range_of_events_gives_their_rows_alone},
    {"the same content is one row and its companion follows",
     the_same_content_is_one_row_and_its_companion_follows},
    {"keys are tags", keys_are_tags},
};

TEST_MAIN(cases)
