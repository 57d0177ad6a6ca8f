/* plan: the compiled form of fields. Private to extract. */
#pragma once

#include "extract.h"

/* One key of a path. Each path that ends here has a slot. */
struct extract_node {
    char *name;
    size_t name_len;
    struct extract_node *children;
    size_t child_count;
    size_t *slots;
    size_t slot_count;
    size_t number; /* of the node within the plan */
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
    struct extract_item *items;
    size_t count;
    size_t slot_count;
    size_t node_count;
};
