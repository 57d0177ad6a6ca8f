#include "merge.h"

#include <stdlib.h>

#include "base/hash.h"
#include "outbox/staged.h"
#include "base/xalloc.h"
#include "merge_key.h"
#include "merge_set.h"

/* Open addressing by the hash of the key. Rows and their values are in the arena. */
struct index {
    struct merge_row **slots; /* capacity is a power of two; NULL = free */
    size_t capacity;
    struct merge_row **rows; /* in order of insertion until merge_rows sorts them */
    size_t count;
    size_t rows_capacity;
};

struct merge {
    const struct view *view;
    struct arena *arena;
    struct index *tables;
    size_t table_count;
    struct merge_accepted *ops; /* [0, accepted) accepted, [accepted, staged) staged */
    size_t accepted;
    size_t staged;
    size_t ops_bytes; /* merge_op_bytes of all */
    size_t ops_capacity;
    uint64_t *tags;
    size_t tags_accepted;
    size_t tags_distinct; /* as many as merge_tags returned last: they are sorted */
    size_t tags_staged;
    size_t tags_capacity;
    struct staged_messages messages;
    size_t event_start_bytes; /* merge_bytes at the start of the current event */
};

/* Memory of one operation without its values, if it creates a row. */
static size_t merge_op_bytes(const struct view_table *table) {
    return sizeof(struct merge_accepted) + sizeof(struct merge_row) + 4 * sizeof(void *) +
           table->group_count * sizeof(struct merge_group_value);
}

#define ARENA_CHUNK_BYTES (256UL * 1024)
#define TAGS_COMPARED 4

struct merge *merge_create(const struct view *view) {
    struct merge *merge = xcalloc(1, sizeof *merge);
    merge->arena = arena_create(ARENA_CHUNK_BYTES);
    merge_reset(merge, view);
    return merge;
}

static void merge_free_tables(struct merge *merge) {
    for (size_t i = 0; i < merge->table_count; i++) {
        free(merge->tables[i].slots);
        free(merge->tables[i].rows);
    }
    free(merge->tables);
}

void merge_destroy(struct merge *merge) {
    if (!merge) {
        return;
    }
    merge_free_tables(merge);
    free(merge->ops);
    free(merge->tags);
    staged_free(&merge->messages);
    arena_destroy(merge->arena);
    free(merge);
}

static void merge_clear_rows(struct merge *merge) {
    for (size_t i = 0; i < merge->table_count; i++) {
        struct index *index = &merge->tables[i];
        if (index->count > 0) {
            memset(index->slots, 0, index->capacity * sizeof *index->slots);
            index->count = 0;
        }
    }
}

void merge_reset(struct merge *merge, const struct view *view) {
    merge_clear_rows(merge);
    if (merge->table_count != view->table_count) {
        merge_free_tables(merge);
        merge->tables = xcalloc(view->table_count ? view->table_count : 1, sizeof *merge->tables);
        merge->table_count = view->table_count;
    }
    merge->view = view;
    merge->accepted = merge->staged = 0;
    merge->tags_accepted = merge->tags_staged = merge->tags_distinct = 0;
    staged_reset(&merge->messages);
    arena_reset(merge->arena);
    merge->ops_bytes = merge->event_start_bytes = 0;
}

size_t merge_bytes(const struct merge *merge) {
    return arena_used(merge->arena) + merge->ops_bytes + merge->tags_staged * sizeof *merge->tags +
           merge->messages.count * sizeof(struct outbox_message);
}

size_t merge_staged_bytes(const struct merge *merge) {
    return merge_bytes(merge) - merge->event_start_bytes;
}

struct arena *merge_arena(struct merge *merge) {
    return merge->arena;
}

/* ---- values ------------------------------------------------------------------------------- */

bool merge_value_less(enum view_type type, const struct view_value *a, const struct view_value *b) {
    if (type == VIEW_DOUBLE) {
        return a->as.number < b->as.number;
    }
    if (view_is_bytes(type)) {
        return slice_compare(a->as.text, b->as.text) < 0;
    }
    return a->as.integer < b->as.integer;
}

/* ---- rows --------------------------------------------------------------------------------- */

static void merge_grow_slots(struct merge *merge, size_t table) {
    struct index *index = &merge->tables[table];
    size_t capacity = index->capacity ? index->capacity * 2 : 256;
    free(index->slots);
    index->slots = xcalloc(capacity, sizeof *index->slots);
    index->capacity = capacity;
    for (size_t i = 0; i < index->count; i++) {
        size_t at =
            merge_key_hash(&merge->view->tables[table], index->rows[i]->key) & (capacity - 1);
        while (index->slots[at]) {
            at = (at + 1) & (capacity - 1);
        }
        index->slots[at] = index->rows[i];
    }
}

static struct merge_row *merge_add_row(struct merge *merge, size_t table,
                                       const struct view_value *key) {
    struct index *index = &merge->tables[table];
    size_t groups = merge->view->tables[table].group_count;
    struct merge_row *row = arena_alloc(merge->arena, sizeof *row);
    row->key = key;
    row->prefix = merge_key_prefix(&merge->view->tables[table], key);
    row->groups = arena_alloc(merge->arena, groups * sizeof *row->groups);
    memset(row->groups, 0, groups * sizeof *row->groups);
    if (index->count == index->rows_capacity) {
        index->rows_capacity = index->rows_capacity ? index->rows_capacity * 2 : 128;
        index->rows = xrealloc(index->rows, index->rows_capacity * sizeof *index->rows);
    }
    index->rows[index->count++] = row;
    return row;
}

static struct merge_row *merge_find_row(struct merge *merge, size_t table,
                                        const struct view_value *key) {
    struct index *index = &merge->tables[table];
    const struct view_table *declared = &merge->view->tables[table];
    if (index->count * 2 >= index->capacity) {
        merge_grow_slots(merge, table);
    }
    size_t at = merge_key_hash(declared, key) & (index->capacity - 1);
    while (index->slots[at]) {
        if (merge_key_compare(declared, index->slots[at]->key, key) == 0) {
            return index->slots[at];
        }
        at = (at + 1) & (index->capacity - 1);
    }
    return index->slots[at] = merge_add_row(merge, table, key);
}

int merge_version_compare(const struct merge_version *a, const struct merge_version *b) {
    if (a->at_us != b->at_us) {
        return a->at_us < b->at_us ? -1 : 1;
    }
    return memcmp(a->event_id, b->event_id, sizeof a->event_id);
}

static bool merge_wins(const struct view_group *group, const struct merge_group_value *held,
                       const struct merge_accepted *op) {
    const struct view_value *value = op->op.values;
    switch (group->rule) {
    case VIEW_FIRST:
        return !held->present || merge_version_compare(&op->version, &held->version) < 0;
    case VIEW_LATEST:
        return !held->present || merge_version_compare(&op->version, &held->version) > 0;
    case VIEW_MIN:
        return !held->present || merge_value_less(group->columns[0].type, value, held->values);
    case VIEW_MAX:
        return !held->present || merge_value_less(group->columns[0].type, held->values, value);
    case VIEW_SET:
    case VIEW_COUNT:
        return true; /* it adds to what is held */
    }
    return false;
}

static void merge_apply(struct merge *merge, const struct merge_accepted *op) {
    const struct view_group *group = &merge->view->tables[op->op.table].groups[op->op.group];
    if (group->rule >= VIEW_MIN && op->op.values->is_null) {
        return; /* without effect, so it creates no row */
    }
    struct merge_row *row = merge_find_row(merge, op->op.table, op->op.key);
    struct merge_group_value *held = &row->groups[op->op.group];
    if (view_is_set(group)) {
        struct merge_set *set = held->present ? held->set : merge_set_create(merge->arena);
        merge_set_add(merge->arena, set, op->op.values);
        *held = (struct merge_group_value){true, op->version, .set = set, .event = op->event};
    } else if (merge_wins(group, held, op)) {
        *held = (struct merge_group_value){true, op->version, .values = op->op.values,
                                           .event = op->event};
    }
}

/* ---- staging ------------------------------------------------------------------------------ */

/* The content id of the event's last operation on the table: groups without the content follow the
 * group that has it. */
static struct slice merge_staged_content(const struct merge *merge, size_t table, size_t column) {
    for (size_t i = merge->staged; i > merge->accepted; i--) {
        if (merge->ops[i - 1].op.table == table) {
            return merge->ops[i - 1].op.key[column].as.text;
        }
    }
    static const char none[16];
    return (struct slice){none, sizeof none};
}

static const struct view_value *merge_complete_key(struct merge *merge, const struct merge_op *op) {
    const struct view_table *table = &merge->view->tables[op->table];
    struct view_value *key = arena_alloc(merge->arena, table->key_count * sizeof *key);
    for (size_t i = 0; i < table->key_count; i++) {
        if (table->key[i].type != VIEW_CONTENT) {
            key[i] = op->key[i];
            continue;
        }
        key[i].is_null = false;
        if ((int)op->group == table->content_group) {
            key[i].as.text = merge_key_content(merge->arena, &table->groups[op->group], op->values);
        } else {
            key[i].as.text = merge_staged_content(merge, op->table, i);
        }
    }
    return key;
}

void merge_stage(struct merge *merge, const struct merge_op *op, struct merge_version version) {
    const struct view_value *key = merge_complete_key(merge, op);
    if (merge->staged == merge->ops_capacity) {
        merge->ops_capacity = merge->ops_capacity ? merge->ops_capacity * 2 : 256;
        merge->ops = xrealloc(merge->ops, merge->ops_capacity * sizeof *merge->ops);
    }
    struct merge_accepted *staged = &merge->ops[merge->staged++];
    *staged = (struct merge_accepted){.op = *op, .version = version};
    staged->op.key = key;
    const struct view_table *table = &merge->view->tables[op->table];
    merge->ops_bytes += merge_op_bytes(table);
    for (size_t i = 0; i < table->key_count; i++) {
        char text[VIEW_VALUE_TEXT_CAP];
        if (view_is_tag(table->key[i].type)) {
            merge_add_tag(merge, view_value_text(table->key[i].type, &key[i], text));
        }
    }
}

bool merge_staged(const struct merge *merge, size_t index, struct merge_op *op,
                  struct merge_version *version) {
    if (index >= merge->staged - merge->accepted) {
        return false;
    }
    *op = merge->ops[merge->accepted + index].op;
    *version = merge->ops[merge->accepted + index].version;
    return true;
}

size_t merge_unstage(struct merge *merge,
                     bool (*leaves)(void *context, const struct merge_op *op,
                                    struct merge_version version),
                     void *context) {
    size_t kept = merge->accepted;
    for (size_t i = merge->accepted; i < merge->staged; i++) {
        if (!leaves(context, &merge->ops[i].op, merge->ops[i].version)) {
            merge->ops[kept++] = merge->ops[i];
        }
    }
    merge->staged = kept;
    return kept - merge->accepted;
}

void merge_discard(struct merge *merge) {
    merge->staged = merge->accepted;
    merge->tags_staged = merge->tags_accepted;
    staged_discard(&merge->messages);
    merge->event_start_bytes = merge_bytes(merge);
}

void merge_accept(struct merge *merge, size_t event) {
    for (size_t i = merge->accepted; i < merge->staged; i++) {
        merge->ops[i].event = event;
        merge_apply(merge, &merge->ops[i]);
    }
    merge->accepted = merge->staged;
    merge->tags_accepted = merge->tags_staged;
    staged_accept(&merge->messages, event);
    merge->event_start_bytes = merge_bytes(merge);
}

void merge_forget(struct merge *merge, bool (*forgets)(void *context, size_t event),
                  void *context) {
    size_t kept = 0;
    for (size_t i = 0; i < merge->accepted; i++) {
        if (!forgets(context, merge->ops[i].event)) {
            merge->ops[kept++] = merge->ops[i];
        }
    }
    merge->accepted = merge->staged = kept;
    staged_forget(&merge->messages, forgets, context);
}

void merge_select(struct merge *merge, size_t first, size_t last) {
    merge_clear_rows(merge);
    for (size_t i = 0; i < merge->accepted; i++) {
        if (merge->ops[i].event >= first && merge->ops[i].event < last) {
            merge_apply(merge, &merge->ops[i]);
        }
    }
    staged_select(&merge->messages, first, last);
}

/* ---- results ------------------------------------------------------------------------------ */

static int merge_compare_rows(const void *a, const void *b, void *table) {
    const struct merge_row *left = *(struct merge_row *const *)a;
    const struct merge_row *right = *(struct merge_row *const *)b;
    if (left->prefix != right->prefix) {
        return left->prefix < right->prefix ? -1 : 1;
    }
    return merge_key_compare(table, left->key, right->key);
}

/* Has every set of the table hold what was added to it. */
static void merge_finish_sets(struct merge *merge, size_t number) {
    const struct view_table *table = &merge->view->tables[number];
    const struct index *index = &merge->tables[number];
    for (size_t r = 0; r < index->count; r++) {
        for (size_t g = 0; g < table->group_count; g++) {
            const struct merge_group_value *held = &index->rows[r]->groups[g];
            if (view_is_set(&table->groups[g]) && held->present) {
                merge_set_finish(merge->arena, held->set, &table->groups[g]);
            }
        }
    }
}

struct merge_row *const *merge_rows(struct merge *merge, size_t table, size_t *count) {
    struct index *index = &merge->tables[table];
    *count = index->count;
    if (merge->view->tables[table].has_sets) {
        merge_finish_sets(merge, table);
    }
    if (index->count > 1) {
        qsort_r(index->rows, index->count, sizeof *index->rows, merge_compare_rows,
                (void *)&merge->view->tables[table]);
    }
    return index->rows;
}

void merge_winners(const struct merge *merge, bool *merged, bool *winners) {
    for (size_t i = 0; i < merge->accepted; i++) {
        const struct merge_accepted *op = &merge->ops[i];
        const struct view_group *group = &merge->view->tables[op->op.table].groups[op->op.group];
        merged[op->event] = true;
        winners[op->event] |= view_is_set(group) && !op->op.values->is_null;
    }
    for (size_t t = 0; t < merge->table_count; t++) {
        for (size_t r = 0; r < merge->tables[t].count; r++) {
            const struct merge_row *row = merge->tables[t].rows[r];
            for (size_t g = 0; g < merge->view->tables[t].group_count; g++) {
                if (row->groups[g].present) {
                    winners[row->groups[g].event] = true;
                }
            }
        }
    }
}

/* The groups of one row repeat the same tags; fewer duplicates are faster to sort. */
static bool merge_has_recent_tag(const struct merge *merge, uint64_t tag) {
    size_t count = merge->tags_staged < TAGS_COMPARED ? merge->tags_staged : TAGS_COMPARED;
    for (size_t i = 1; i <= count; i++) {
        if (merge->tags[merge->tags_staged - i] == tag) {
            return true;
        }
    }
    return false;
}

void merge_add_tag(struct merge *merge, struct slice id) {
    if (merge->tags_staged == merge->tags_capacity) {
        merge->tags_capacity = merge->tags_capacity ? merge->tags_capacity * 2 : 256;
        merge->tags = xrealloc(merge->tags, merge->tags_capacity * sizeof *merge->tags);
    }
    uint64_t tag = hash64(id);
    if (!merge_has_recent_tag(merge, tag)) {
        merge->tags[merge->tags_staged++] = tag;
    }
}

static int merge_compare_tags(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

const uint64_t *merge_tags(struct merge *merge, size_t *count) {
    size_t distinct = 0;
    *count = merge->tags_accepted;
    if (merge->tags_accepted == merge->tags_distinct) {
        return merge->tags; /* none was added since */
    }
    if (merge->tags_accepted > 1) {
        qsort(merge->tags, merge->tags_accepted, sizeof *merge->tags, merge_compare_tags);
    }
    for (size_t i = 0; i < merge->tags_accepted; i++) {
        if (distinct == 0 || merge->tags[i] != merge->tags[distinct - 1]) {
            merge->tags[distinct++] = merge->tags[i];
        }
    }
    *count = merge->tags_accepted = merge->tags_staged = merge->tags_distinct = distinct;
    return merge->tags;
}

void merge_publish(struct merge *merge, const struct outbox_message *message) {
    staged_add(&merge->messages, message);
}

void merge_trace(struct merge *merge, struct slice traceparent) {
    if (merge->messages.count > merge->messages.accepted) {
        staged_trace(&merge->messages, arena_copy(merge->arena, traceparent));
    }
}

const struct outbox_message *merge_messages(const struct merge *merge, size_t *count) {
    const struct staged_messages *messages = &merge->messages;
    *count = messages->last - messages->first;
    return messages->items ? messages->items + messages->first : NULL;
}

const struct outbox_message *merge_staged_messages(const struct merge *merge, size_t *count) {
    const struct staged_messages *messages = &merge->messages;
    *count = messages->count - messages->accepted;
    return messages->items ? messages->items + messages->accepted : NULL;
}

size_t merge_op_count(const struct merge *merge) {
    return merge->accepted;
}

size_t merge_staged_count(const struct merge *merge) {
    return merge->staged - merge->accepted;
}

const struct merge_accepted *merge_accepted_ops(const struct merge *merge, size_t *count) {
    *count = merge->accepted;
    return merge->ops;
}
