/* extract_plan: the compiled form of a list of fields; between extract_plan.c and extract.c only.
 */
#ifndef AGG_HOST_EXTRACT_PLAN_H
#define AGG_HOST_EXTRACT_PLAN_H

#include "extract.h"

/* One key of a path. Its alternatives end here; its children are the keys below. */
struct extract_node {
    char *name;
    struct extract_node *children;
    size_t child_count;
    struct extract_end {
        size_t field;
        size_t alternative; /* lower ones win */
    } * ends;
    size_t end_count;
};

struct extract_item {
    char *name;
    char *path; /* for messages: the alternatives, " or " between them */
    enum field_type type;
    bool optional, has_min, has_max;
    size_t required_if; /* 1 + the index of the item that makes this one required; 0: none */
    double min, max;
    char **choices;
    char **choice_values;
    size_t choice_count;
    struct extract_plan *element;
};

struct extract_plan {
    struct extract_node root;
    struct extract_item *items;
    size_t count;
};

#endif
