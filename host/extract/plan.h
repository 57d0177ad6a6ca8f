/* plan: the compiled form of fields. Private to extract. */
#pragma once

#include <stdatomic.h>

#include "extract.h"

/* Guesses at the order of keys, for speed alone: in the last document the first declared child of
 * an object was `first_child`, and the next one after this node was its sibling `next_sibling`.
 * Threads write them without an order. */
struct extract_hint {
    atomic_size_t first_child, next_sibling;
};

/* One key of a path. Each path that ends here has a slot. */
struct extract_node {
    struct slice name; /* owned */
    struct slice key;  /* as a document spells it: for json_take_key; owned; may be absent */
    struct extract_node *children;
    size_t child_count;
    size_t *buckets;     /* 1 + index of the first child with a hash, below bucket_count; 0: none */
    size_t bucket_count; /* a power of two */
    size_t same_hash;    /* likewise of the next one */
    size_t *slots;
    size_t slot_count;
    size_t number; /* of the node within the plan */
    struct extract_hint *hint;
};

struct extract_item {
    char *name;
    char *path;        /* for errors: the alternatives, joined by " or " */
    size_t first_slot; /* of path_count slots in order */
    size_t path_count;
    enum field_type type;
    bool optional, has_min, has_max;
    size_t required_if; /* 1 + index of the item that makes this one required; 0: none */
    double min, max;
    struct slice *choices; /* copies, owned */
    struct slice *choice_values;
    size_t choice_count;
    struct extract_plan *element;
};

struct extract_plan {
    struct extract_node root;
    struct extract_hint *hints; /* node_count; owned */
    struct extract_item *items;
    size_t count;
    size_t slot_count;
    size_t node_count; /* with the root, which is number 0 */
};

/* Names of one object hardly ever agree in length, first and last byte. name.len > 0. */
static inline size_t plan_hash(struct slice name, size_t bucket_count) {
    size_t first = (unsigned char)name.data[0], last = (unsigned char)name.data[name.len - 1];
    return (name.len + first * 5 + last * 3) & (bucket_count - 1);
}
