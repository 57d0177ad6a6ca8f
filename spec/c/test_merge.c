/* merge: one winner in any order, a discard undoes staging, rows are rebuilt for a bisection. */
#include "view/merge.h"
#include "base/buffer.h"
#include "base/hash.h"
#include "shuffle.h"

static struct view_column text_columns[] = {{"name", VIEW_TEXT, "text", .is_id = false}};
static struct view_column time_columns[] = {
    {"seen_at", VIEW_TIMESTAMP, "timestamptz", .is_id = false}};
static struct view_table tables[] = {
    {.name = "things",
     .key = {{"id", VIEW_TEXT, "text", .is_id = false}},
     .key_count = 1,
     .content_group = -1,
     .groups = {{"newest", VIEW_LATEST, text_columns, .column_count = 1},
                {"oldest", VIEW_FIRST, text_columns, .column_count = 1},
                {"seen", VIEW_MIN, time_columns, .column_count = 1}},
     .group_count = 3},
    {.name = "facts",
     .key = {{"id", VIEW_TEXT, "text", .is_id = false},
             {"content_id", VIEW_CONTENT, "uuid", .is_id = false}},
     .key_count = 2,
     .content_group = 0,
     .groups = {{"fact", VIEW_FIRST, text_columns, .column_count = 1},
                {"restated", VIEW_LATEST, NULL, .column_count = 0}},
     .group_count = 2},
};
static const struct view view = {.tables = tables, .table_count = 2};

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

static bool is_the_second(void *context, size_t event) {
    (void)context;
    return event == 1;
}

static void a_forgotten_event_supersedes_nothing(void) {
    struct merge *merge = merge_create(&view);
    bool merged[2] = {false}, winners[2] = {false};
    stage(merge, 0, 0, "one", version(1, 1));
    merge_accept(merge, 0);
    stage(merge, 0, 0, "two", version(2, 1));
    merge_accept(merge, 1);
    merge_forget(merge, is_the_second, NULL);
    merge_select(merge, 0, 2);
    check_text(merge, 0, "one");
    merge_winners(merge, merged, winners);
    CHECK(merged[0] && winners[0] && !merged[1] && !winners[1]);
    CHECK_INT(merge_op_count(merge), 1);
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

static void keys_are_surrogate_keys_once_each(void) {
    struct merge *merge = merge_create(&view);
    size_t count;
    for (uint8_t event = 0; event < 3; event++) {
        stage(merge, 0, 0, "x", version(1, event));
        stage(merge, 0, 1, "x", version(1, event));
        merge_add_tag(merge, slice_of("touched"));
        merge_accept(merge, event);
    }
    const uint64_t *tags = merge_tags(merge, &count);
    CHECK_INT(count, 2);
    uint64_t key = hash64(slice_of("a")), touched = hash64(slice_of("touched"));
    CHECK((tags[0] == key && tags[1] == touched) || (tags[0] == touched && tags[1] == key));
    merge_add_tag(merge, slice_of("one more"));
    merge_add_tag(merge, slice_of("touched"));
    merge_accept(merge, 3);
    tags = merge_tags(merge, &count);
    CHECK_INT(count, 3);
    CHECK(tags[0] < tags[1] && tags[1] < tags[2]);
    CHECK(merge_tags(merge, &count) == tags && count == 3);
    merge_destroy(merge);
}

/* ---- any order, any batches, any repetition ---------------------------------------------------
 */

#define FACTS 24

/* One operation of one event; its contents depend on its number only. */
struct fact {
    size_t table, group;
    int64_t at_us;
    uint8_t event_id;
    uint32_t meaning;
};

static struct fact draw_fact(uint32_t *seed) {
    struct fact fact = {.table = test_draw(seed, 2), .at_us = test_draw(seed, 5)};
    fact.group = test_draw(seed, fact.table == 0 ? 3 : 1);
    fact.event_id = (uint8_t)test_draw(seed, 4);
    /* One version says one thing. */
    fact.meaning = (uint32_t)fact.at_us * 4 + fact.event_id;
    return fact;
}

static void stage_fact(struct merge *merge, const struct fact *fact) {
    static const char *const words[] = {"a", "b", "c"};
    struct view_value *values = arena_alloc(merge_arena(merge), 3 * sizeof *values);
    values[0] = (struct view_value){.as.text = slice_of(words[fact->meaning % 3])};
    values[1] = (struct view_value){.as.text = slice_of(words[fact->meaning / 3 % 3])};
    values[1].is_null = fact->meaning % 5 == 0;
    if (fact->table == 0 && fact->group == 2) {
        values[1].as.integer = fact->meaning % 7;
    }
    struct merge_op op = {
        .key = &values[0], .table = fact->table, .group = fact->group, .values = &values[1]};
    struct merge_version at = version(fact->at_us, fact->event_id);
    merge_stage(merge, &op, at);
    if (fact->table == 1) { /* the companion of the content */
        struct merge_op restated = {.key = &values[0], .table = 1, .group = 1, .values = values};
        merge_stage(merge, &restated, at);
    }
}

static void describe_value(struct buffer *out, enum view_type type,
                           const struct view_value *value) {
    if (value->is_null) {
        buffer_append_text(out, " null");
    } else if (type == VIEW_TIMESTAMP) {
        buffer_append_format(out, " %lld", (long long)value->as.integer);
    } else if (type == VIEW_CONTENT) {
        buffer_append_format(out, " #%016llx", (unsigned long long)hash64(value->as.text));
    } else {
        buffer_append_format(out, " %.*s", (int)value->as.text.len, value->as.text.data);
    }
}

static void describe_row(struct buffer *out, const struct view_table *table,
                         const struct merge_row *row) {
    for (size_t k = 0; k < table->key_count; k++) {
        describe_value(out, table->key[k].type, &row->key[k]);
    }
    for (size_t g = 0; g < table->group_count; g++) {
        const struct merge_group_value *held = &row->groups[g];
        bool versioned =
            table->groups[g].rule == VIEW_FIRST || table->groups[g].rule == VIEW_LATEST;
        buffer_append_text(out, " |");
        if (held->present && versioned) {
            buffer_append_format(out, " %lld.%d", (long long)held->version.at_us,
                                 held->version.event_id[0]);
        }
        for (size_t c = 0; held->present && c < table->groups[g].column_count; c++) {
            describe_value(out, table->groups[g].columns[c].type, &held->values[c]);
        }
    }
    buffer_append_text(out, "\n");
}

/* All rows as text: two merges are alike where their texts are. */
static char *describe(struct merge *merge) {
    struct buffer out = {0};
    buffer_append_text(&out, "");
    for (size_t t = 0; t < view.table_count; t++) {
        size_t count;
        struct merge_row *const *rows = merge_rows(merge, t, &count);
        for (size_t r = 0; r < count; r++) {
            describe_row(&out, &tables[t], rows[r]);
        }
    }
    return out.data;
}

static void any_order_and_repetition_gives_the_same_rows(void) {
    for (uint32_t round = 1; round <= 300 && !test_failed; round++) {
        uint32_t seed = round;
        struct fact facts[FACTS];
        for (size_t i = 0; i < FACTS; i++) {
            facts[i] = draw_fact(&seed);
        }
        char *want = NULL;
        for (int order = 0; order < 6; order++) {
            struct merge *merge = merge_create(&view);
            for (size_t i = 0; i < FACTS; i++) {
                stage_fact(merge, &facts[i]);
                if (test_draw(&seed, 3) == 0) { /* a handler that raised, then the event again */
                    merge_discard(merge);
                    stage_fact(merge, &facts[i]);
                }
                if (test_draw(&seed, 3) == 0) { /* a duplicate within the batch */
                    merge_accept(merge, i);
                    stage_fact(merge, &facts[test_draw(&seed, (uint32_t)i + 1)]);
                }
                merge_accept(merge, i);
            }
            char *got = describe(merge);
            if (!want) {
                want = got;
            } else {
                if (strcmp(got, want) != 0) {
                    TEST_FAIL("seed %u:\n%s\nwant\n%s", round, got, want);
                }
                free(got);
            }
            merge_destroy(merge);
            shuffle(facts, FACTS, sizeof *facts, &seed);
        }
        free(want);
    }
}

static void a_selected_range_merges_as_if_alone(void) {
    for (uint32_t round = 1; round <= 100 && !test_failed; round++) {
        uint32_t seed = round;
        struct merge *whole = merge_create(&view), *part = merge_create(&view);
        size_t first = test_draw(&seed, FACTS), last = first + test_draw(&seed, FACTS);
        for (size_t i = 0; i < FACTS; i++) {
            struct fact fact = draw_fact(&seed);
            stage_fact(whole, &fact);
            merge_accept(whole, i);
            if (i >= first && i < last) {
                stage_fact(part, &fact);
                merge_accept(part, i);
            }
        }
        char *all = describe(whole);
        merge_select(whole, first, last);
        char *got = describe(whole), *want = describe(part);
        CHECK_TEXT(got, want);
        merge_select(whole, 0, FACTS);
        char *again = describe(whole);
        CHECK_TEXT(again, all);
        free(got);
        free(want);
        free(all);
        free(again);
        merge_destroy(whole);
        merge_destroy(part);
    }
}

static void a_reset_leaves_nothing_of_the_batch(void) {
    uint32_t seed = 5;
    struct merge *merge = merge_create(&view);
    for (int batch = 0; batch < 50; batch++) {
        struct merge *fresh = merge_create(&view);
        for (size_t i = 0; i < FACTS; i++) {
            struct fact fact = draw_fact(&seed);
            stage_fact(merge, &fact);
            stage_fact(fresh, &fact);
        }
        merge_accept(merge, 0);
        merge_accept(fresh, 0);
        char *got = describe(merge), *want = describe(fresh);
        size_t got_tags, want_tags;
        merge_tags(merge, &got_tags);
        merge_tags(fresh, &want_tags);
        CHECK_TEXT(got, want);
        CHECK_INT(got_tags, want_tags);
        CHECK_INT(merge_op_count(merge), merge_op_count(fresh));
        free(got);
        free(want);
        merge_destroy(fresh);
        merge_reset(merge, &view);
        CHECK_INT(merge_op_count(merge), 0);
    }
    merge_destroy(merge);
}

static void min_and_max_ignore_null(void) {
    struct merge *merge = merge_create(&view);
    struct view_value *values = arena_alloc(merge_arena(merge), 2 * sizeof *values);
    values[0] = (struct view_value){.as.text = slice_of("a")};
    values[1] = (struct view_value){.is_null = true};
    struct merge_op op = {.key = &values[0], .table = 0, .group = 2, .values = &values[1]};
    merge_stage(merge, &op, version(1, 1));
    merge_accept(merge, 0);
    size_t count;
    merge_rows(merge, 0, &count);
    CHECK_INT(count, 0); /* a row without a group would have no statement to be written by */
    stage_time(merge, 5);
    merge_stage(merge, &op, version(2, 1));
    merge_accept(merge, 1);
    struct merge_row *const *rows = merge_rows(merge, 0, &count);
    CHECK_INT(count, 1);
    CHECK_INT(rows[0]->groups[2].values[0].as.integer, 5);
    merge_destroy(merge);
}

/* Keys that differ early, late, by their length alone, and beyond ASCII. */
static void many_rows_come_out_sorted(void) {
    static const char *const prefixes[] = {"", "essay-0", "an essay-", "\xC3\xA9"};
    struct merge *merge = merge_create(&view);
    uint32_t seed = 11;
    for (size_t i = 0; i < 5000; i++) {
        struct view_value *values = arena_alloc(merge_arena(merge), 2 * sizeof *values);
        char name[24];
        size_t len = (size_t)snprintf(name, sizeof name, "%s%u", prefixes[test_draw(&seed, 4)],
                                      test_draw(&seed, 750));
        values[0].is_null = values[1].is_null = false;
        values[0].as.text = arena_copy(merge_arena(merge), (struct slice){name, len});
        values[1].as.text = slice_of("x");
        struct merge_op op = {.key = &values[0], .table = 0, .group = 0, .values = &values[1]};
        merge_stage(merge, &op, version(1, 1));
        merge_accept(merge, i);
    }
    size_t count;
    struct merge_row *const *rows = merge_rows(merge, 0, &count);
    CHECK(count > 2000 && count < 3000);
    for (size_t i = 1; i < count; i++) {
        CHECK(merge_value_less(VIEW_TEXT, rows[i - 1]->key, rows[i]->key));
    }
    merge_destroy(merge);
}

static const struct test_case cases[] = {
    {"latest keeps the newest in either order", latest_keeps_the_newest_in_either_order},
    {"first keeps the earliest in either order", first_keeps_the_earliest_in_either_order},
    {"equal times are decided by the event id", equal_times_are_decided_by_the_event_id},
    {"min keeps the smallest", min_keeps_the_smallest},
    {"a discarded event leaves nothing", a_discarded_event_leaves_nothing},
    {"a range of events gives their rows alone", a_range_of_events_gives_their_rows_alone},
    {"a forgotten event supersedes nothing", a_forgotten_event_supersedes_nothing},
    {"the same content is one row and its companion follows",
     the_same_content_is_one_row_and_its_companion_follows},
    {"keys are surrogate keys, once each", keys_are_surrogate_keys_once_each},
    {"any order and repetition gives the same rows", any_order_and_repetition_gives_the_same_rows},
    {"a selected range merges as if alone", a_selected_range_merges_as_if_alone},
    {"a reset leaves nothing of the batch", a_reset_leaves_nothing_of_the_batch},
    {"min and max ignore null", min_and_max_ignore_null},
    {"many rows come out sorted", many_rows_come_out_sorted},
};

TEST_MAIN(cases)
