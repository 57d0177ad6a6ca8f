/* declarations: what the declarations of two generations share, and what only one of them has. */
#pragma once

#include "base/buffer.h"
#include "script/script.h"

enum shadow_run_side { SHADOW_RUN_OLD, SHADOW_RUN_NEW, SHADOW_RUN_SIDES };

struct declarations {
    struct view view; /* shared tables, groups and columns; names belong to the new view */
    /* "topic X", "reaction X", "table X", "column X.Y" of one side only, as JSON list elements. */
    struct buffer only[SHADOW_RUN_SIDES];
};

/* The new generation must outlive it. */
void declarations_compare(struct declarations *shared, const struct script_generation *old,
                          const struct script_generation *new);
void declarations_free(struct declarations *shared);

/* Adds the topics or the reactions that `of` declares and `other` does not. */
void declarations_add_topics(struct buffer *only, const struct script_generation *of,
                             const struct script_generation *other);
void declarations_add_reactions(struct buffer *only, const struct script_generation *of,
                                const struct script_generation *other);
