/* plan: compiles fields into a trie of keys for one walk over a document. */
#include "plan.h"

#include <stdlib.h>

#include "base/ascii.h"
#include "base/buffer.h"
#include "base/xalloc.h"

/* Other names than of plain ASCII can be spelled in several ways. */
static struct slice plan_spell_key(struct slice name) {
    struct buffer key = {0};
    if (ascii_json_run(name.data, name.len) < name.len) {
        return (struct slice){0};
    }
    buffer_append_json_string(&key, name);
    buffer_append(&key, ":", 1);
    buffer_reserve(&key, ASCII_PADDING);
    return buffer_slice(&key);
}

static struct extract_node *plan_find_or_add(struct extract_plan *plan, struct extract_node *parent,
                                             struct slice name) {
    for (size_t i = 0; i < parent->child_count; i++) {
        if (slice_equal(parent->children[i].name, name)) {
            return &parent->children[i];
        }
    }
    parent->children =
        xrealloc(parent->children, (parent->child_count + 1) * sizeof *parent->children);
    struct extract_node *child = &parent->children[parent->child_count++];
    *child = (struct extract_node){.name = {xstrndup(name.data, name.len), name.len},
                                   .key = plan_spell_key(name),
                                   .number = plan->node_count++};
    return child;
}

static bool plan_add_path(struct extract_plan *plan, const char *path, const char *field,
                          struct err *err) {
    struct extract_node *node = &plan->root;
    for (const char *at = path;; at++) {
        size_t len = strcspn(at, ".");
        if (len == 0) {
            return err_set(err, ERR_INPUT, "field %s: the path \"%s\" has an empty part", field,
                           path);
        }
        node = plan_find_or_add(plan, node, (struct slice){at, len});
        at += len;
        if (!*at) {
            break;
        }
    }
    node->slots = xrealloc(node->slots, (node->slot_count + 1) * sizeof *node->slots);
    node->slots[node->slot_count++] = plan->slot_count++;
    return true;
}

static struct slice *plan_copy_texts(const char *const *texts, size_t count) {
    struct slice *copies = xcalloc(count, sizeof *copies);
    for (size_t i = 0; i < count; i++) {
        copies[i] = slice_of(xstrdup(texts[i]));
    }
    return copies;
}

static void plan_free_texts(struct slice *texts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free((char *)texts[i].data);
    }
    free(texts);
}

static char *plan_join_paths(const struct extract_field *field) {
    struct buffer joined = {0};
    for (size_t i = 0; i < field->path_count; i++) {
        buffer_append_format(&joined, "%s%s", i ? " or " : "", field->paths[i]);
    }
    return joined.data ? joined.data : xstrdup("");
}

static bool plan_add_item(struct extract_plan *plan, const struct extract_field *field,
                          struct err *err) {
    struct extract_item *item = &plan->items[plan->count++];
    *item = (struct extract_item){
        .name = xstrdup(field->name),
        .path = plan_join_paths(field),
        .first_slot = plan->slot_count,
        .path_count = field->path_count,
        .type = field->type,
        .optional = field->optional || field->required_if,
        .has_min = field->has_min,
        .has_max = field->has_max,
        .min = field->min,
        .max = field->max,
    };
    if (field->choices) {
        item->choice_count = field->choice_count;
        item->choices = plan_copy_texts(field->choices, field->choice_count);
        item->choice_values = plan_copy_texts(field->choice_values, field->choice_count);
    }
    if (field->path_count == 0) {
        return err_set(err, ERR_INPUT, "field %s has no path", field->name);
    }
    for (size_t i = 0; i < field->path_count; i++) {
        if (!plan_add_path(plan, field->paths[i], field->name, err)) {
            return false;
        }
    }
    if (field->type == FIELD_LIST) {
        item->element = extract_plan_create(field->element, field->element_count, err);
        return item->element != NULL;
    }
    return true;
}

static bool plan_link_conditions(struct extract_plan *plan, const struct extract_field *fields,
                                 struct err *err) {
    for (size_t i = 0; i < plan->count; i++) {
        const char *other = fields[i].required_if;
        for (size_t j = 0; other && j < plan->count; j++) {
            if (strcmp(fields[j].name, other) == 0) {
                plan->items[i].required_if = j + 1;
            }
        }
        if (other && !plan->items[i].required_if) {
            return err_set(err, ERR_INPUT, "field %s: required_if names no field \"%s\"",
                           fields[i].name, other);
        }
    }
    return true;
}

/* For the finished tree: nodes move while it grows. */
static void plan_index_node(const struct extract_plan *plan, struct extract_node *node) {
    node->hint = &plan->hints[node->number];
    for (node->bucket_count = 1; node->bucket_count < node->child_count * 4;) {
        node->bucket_count *= 2;
    }
    node->buckets = xcalloc(node->bucket_count, sizeof *node->buckets);
    for (size_t i = 0; i < node->child_count; i++) {
        struct extract_node *child = &node->children[i];
        size_t *bucket = &node->buckets[plan_hash(child->name, node->bucket_count)];
        child->same_hash = *bucket;
        *bucket = i + 1;
        plan_index_node(plan, child);
    }
}

struct extract_plan *extract_plan_create(const struct extract_field *fields, size_t count,
                                         struct err *err) {
    struct extract_plan *plan = xcalloc(1, sizeof *plan);
    plan->items = xcalloc(count, sizeof *plan->items);
    plan->node_count = 1;
    for (size_t i = 0; i < count; i++) {
        if (!plan_add_item(plan, &fields[i], err)) {
            extract_plan_destroy(plan);
            return NULL;
        }
    }
    if (!plan_link_conditions(plan, fields, err)) {
        extract_plan_destroy(plan);
        return NULL;
    }
    plan->hints = xcalloc(plan->node_count, sizeof *plan->hints);
    plan_index_node(plan, &plan->root);
    return plan;
}

static void plan_free_node(struct extract_node *node) {
    for (size_t i = 0; i < node->child_count; i++) {
        plan_free_node(&node->children[i]);
    }
    free(node->children);
    free(node->buckets);
    free(node->slots);
    free((char *)node->name.data);
    free((char *)node->key.data);
}

static void plan_free_item(struct extract_item *item) {
    plan_free_texts(item->choices, item->choice_count);
    plan_free_texts(item->choice_values, item->choice_count);
    free(item->name);
    free(item->path);
    extract_plan_destroy(item->element);
}

void extract_plan_destroy(struct extract_plan *plan) {
    if (!plan) {
        return;
    }
    for (size_t i = 0; i < plan->count; i++) {
        plan_free_item(&plan->items[i]);
    }
    free(plan->items);
    plan_free_node(&plan->root);
    free(plan->hints);
    free(plan);
}
