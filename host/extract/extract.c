/* extract: one walk over the document along the plan's trie, then conversion of the values. */
#include "extract.h"

#include "base/json_fast.h"
#include "scalar.h"

/* Enough for the slots and nodes of nearly all plans, and stays in the processor's cache. */
#define SCRATCH_SLOTS 64
#define SCRATCH_NODES 128

struct scratch {
    struct json_value slots[SCRATCH_SLOTS];
    bool seen[SCRATCH_NODES];
};

struct walk {
    struct json_cursor *cursor;
    struct json_value *slots; /* slot_count; JSON_NULL: null, or not read yet */
    bool *seen;               /* node_count: keys already read in the current object */
    struct arena *arena;
};

/* ---- the walk ----------------------------------------------------------------------------- */

static const struct extract_node *extract_find_child(const struct extract_node *node,
                                                     struct slice name) {
    size_t at = name.len > 0 ? node->buckets[plan_hash(name, node->bucket_count)] : 0;
    while (at > 0) {
        const struct extract_node *child = &node->children[at - 1];
        if (slice_equal(child->name, name)) {
            return child;
        }
        at = child->same_hash;
    }
    return NULL;
}

/* The last of duplicate keys wins whole, as in Python's json: drops all values below the first. */
static void extract_forget(struct walk *walk, const struct extract_node *node) {
    for (size_t i = 0; i < node->slot_count; i++) {
        walk->slots[node->slots[i]].type = JSON_NULL;
    }
    for (size_t i = 0; i < node->child_count; i++) {
        if (walk->seen[node->children[i].number]) {
            walk->seen[node->children[i].number] = false;
            extract_forget(walk, &node->children[i]);
        }
    }
}

static bool extract_walk_object(struct walk *walk, const struct extract_node *node);

static bool extract_walk_value(struct walk *walk, const struct extract_node *node) {
    struct json_value value = {0};
    const char *first = walk->cursor->at;
    if (walk->seen[node->number]) {
        extract_forget(walk, node);
    }
    walk->seen[node->number] = true;
    if (node->child_count > 0 && !json_peek(walk->cursor, &value.type)) {
        return false;
    }
    if (value.type == JSON_OBJECT) {
        if (!extract_walk_object(walk, node)) {
            return false;
        }
        value.raw = (struct slice){first, (size_t)(walk->cursor->at - first)};
    } else if (!json_take_string(walk->cursor, &value) && !json_read(walk->cursor, &value)) {
        return false;
    }
    for (size_t i = 0; i < node->slot_count; i++) {
        walk->slots[node->slots[i]] = value;
    }
    return true;
}

/* Reads a member's key. *child: its node; NULL: the key is not declared. `hint` has the index of
 * the node that was here in the last document. */
static bool extract_next_child(const struct walk *walk, const struct extract_node *node,
                               atomic_size_t *hint, const struct extract_node **child, bool *more) {
    struct json_value key;
    struct slice name;
    *child = &node->children[atomic_load_explicit(hint, memory_order_relaxed)];
    *more = true;
    if (json_take_key(walk->cursor, (*child)->key, &name)) {
        if (!name.data) {
            return true;
        }
    } else {
        if (!json_next_member(walk->cursor, &key, more) || !*more) {
            return !walk->cursor->error;
        }
        name = scalar_plain_text(walk->arena, &key);
    }
    *child = extract_find_child(node, name);
    if (*child) {
        atomic_store_explicit(hint, (size_t)(*child - node->children), memory_order_relaxed);
    }
    return true;
}

static bool extract_walk_object(struct walk *walk, const struct extract_node *node) {
    const struct extract_node *child;
    struct json_value ignored;
    atomic_size_t *hint = &node->hint->first_child;
    bool more = json_enter(walk->cursor);
    while (more) {
        if (!extract_next_child(walk, node, hint, &child, &more)) {
            return false;
        }
        if (!more) {
            return true;
        }
        if (child) {
            hint = &child->hint->next_sibling;
            more = extract_walk_value(walk, child);
        } else {
            more = json_take_string(walk->cursor, &ignored) || json_read(walk->cursor, &ignored);
        }
    }
    return false;
}

/* ---- conversion --------------------------------------------------------------------------- */

/* Copies the string at the cursor with its quotes. */
static char *extract_copy_string(struct json_cursor *cursor, char *to) {
    const char *first = cursor->at;
    struct json_value string;
    if (!json_take_string(cursor, &string)) {
        json_read(cursor, &string);
    }
    size_t len = (size_t)(cursor->at - first);
    memcpy(to, first, len);
    return to + len;
}

/* Copies the bytes without white space outside strings, where valid JSON has no other byte up to
 * the space. */
static bool extract_convert_json(const struct conversion *c) {
    if (c->from->type != JSON_OBJECT && c->from->type != JSON_ARRAY) {
        return scalar_wrong_type(c, "an object or a list");
    }
    struct json_cursor cursor;
    char *text = arena_alloc(c->arena, c->from->raw.len + 1), *to = text;
    json_begin(&cursor, c->from->raw);
    while (cursor.at < cursor.end) {
        if (*cursor.at == '"') {
            to = extract_copy_string(&cursor, to);
        } else {
            *to = *cursor.at++;
            to += (unsigned char)*to > ' ';
        }
    }
    c->to->as.text = (struct slice){text, (size_t)(to - text)};
    return true;
}

static size_t extract_count_elements(struct slice raw) {
    struct json_cursor cursor;
    struct json_value ignored;
    size_t count = 0;
    bool more = true;
    json_begin(&cursor, raw);
    json_enter(&cursor);
    while (json_next_element(&cursor, &more) && more && json_read(&cursor, &ignored)) {
        count++;
    }
    return count;
}

/* Changes "code: rest" in err to "code: path[index]" + joint + rest without its first `skip` bytes.
 */
static bool extract_name_index(const struct conversion *c, size_t index, const char *joint,
                               size_t skip) {
    char inner[sizeof c->err->text];
    size_t code = strcspn(c->err->text, ":");
    memcpy(inner, c->err->text, sizeof inner);
    return err_set(c->err, ERR_INPUT, "%.*s: %s[%zu]%s%.900s", (int)code, inner, c->item->path,
                   index, joint, inner + code + 2 + skip);
}

static bool extract_convert_strings(const struct conversion *c) {
    if (c->from->type != JSON_ARRAY) {
        return scalar_wrong_type(c, "a list of strings");
    }
    size_t count = extract_count_elements(c->from->raw);
    struct slice *items = arena_alloc(c->arena, (count + 1) * sizeof *items);
    struct json_cursor cursor;
    struct json_value element;
    struct conversion one = {c->item, &element, c->arena, c->to, c->err};
    bool more;
    json_begin(&cursor, c->from->raw);
    json_enter(&cursor);
    for (size_t i = 0; i < count; i++) {
        json_next_element(&cursor, &more);
        json_read(&cursor, &element);
        if (!scalar_take_text(&one, &items[i]) || !scalar_check_length(c, items[i])) {
            return extract_name_index(c, i, "", strlen(c->item->path));
        }
    }
    c->to->as.strings.items = items;
    c->to->as.strings.count = count;
    return true;
}

static bool extract_run_object(const struct extract_plan *plan, struct json_cursor *cursor,
                               struct arena *arena, struct extract_value *values, struct err *err);

static bool extract_convert_list(const struct conversion *c) {
    if (c->from->type != JSON_ARRAY) {
        return scalar_wrong_type(c, "a list");
    }
    const struct extract_plan *plan = c->item->element;
    size_t rows = extract_count_elements(c->from->raw);
    size_t cells = rows * plan->count;
    c->to->as.list.cells = arena_alloc(c->arena, (cells + 1) * sizeof *c->to->as.list.cells);
    c->to->as.list.rows = rows;
    struct json_cursor cursor;
    bool more;
    json_begin(&cursor, c->from->raw);
    json_enter(&cursor);
    for (size_t i = 0; i < rows; i++) {
        json_next_element(&cursor, &more);
        if (!extract_run_object(plan, &cursor, c->arena, c->to->as.list.cells + i * plan->count,
                                c->err)) {
            return extract_name_index(c, i, ": ", 0);
        }
    }
    return true;
}

static bool extract_convert(const struct conversion *c) {
    switch (c->item->type) {
    case FIELD_JSON:
        return extract_convert_json(c);
    case FIELD_OBJECT:
        return c->from->type == JSON_OBJECT || scalar_wrong_type(c, "an object");
    case FIELD_STRINGS:
        return extract_convert_strings(c);
    case FIELD_LIST:
        return extract_convert_list(c);
    default:
        return scalar_convert(c);
    }
}

/* ---- documents ---------------------------------------------------------------------------- */

/* The value of the first path that is present and not null. */
static const struct json_value *extract_find_value(const struct extract_item *item,
                                                   const struct json_value *slots) {
    for (size_t i = 0; i < item->path_count; i++) {
        if (slots[item->first_slot + i].type != JSON_NULL) {
            return &slots[item->first_slot + i];
        }
    }
    return NULL;
}

static bool extract_is_required(const struct extract_plan *plan, const struct extract_item *item,
                                const struct json_value *slots) {
    return !item->optional ||
           (item->required_if && extract_find_value(&plan->items[item->required_if - 1], slots));
}

/* Reports the first defect, but converts all fields: the report of a rejected event shows them. */
static bool extract_convert_all(const struct extract_plan *plan, const struct json_value *slots,
                                struct arena *arena, struct extract_value *values,
                                struct err *err) {
    struct err later;
    err_clear(&later);
    bool ok = true;
    for (size_t i = 0; i < plan->count; i++) {
        const struct extract_item *item = &plan->items[i];
        const struct json_value *from = extract_find_value(item, slots);
        struct err *reason = ok ? err : &later;
        struct conversion c = {item, from, arena, &values[i], reason};
        values[i].present = from && extract_convert(&c);
        bool missing = !from && extract_is_required(plan, item, slots);
        if (missing) {
            err_set(reason, ERR_INPUT, "missing_field: %s is missing", item->path);
        }
        ok = ok && (from ? values[i].present : !missing);
    }
    return ok;
}

static bool extract_scan_error(const struct json_cursor *cursor, struct err *err) {
    const char *text = cursor->error ? cursor->error : "not JSON";
    const char *code = strcmp(text, JSON_BAD_UTF8) == 0   ? "bad_utf8"
                       : strcmp(text, JSON_TOO_DEEP) == 0 ? "too_deep"
                                                          : "not_json";
    return err_set(err, ERR_INPUT, "%s: %s, at byte %zu", code, text, json_offset(cursor));
}

static struct walk extract_begin_walk(const struct extract_plan *plan, struct json_cursor *cursor,
                                      struct arena *arena, struct scratch *scratch) {
    size_t slot_bytes = plan->slot_count * sizeof *scratch->slots;
    bool fits = plan->slot_count <= SCRATCH_SLOTS && plan->node_count <= SCRATCH_NODES;
    struct walk walk = {cursor, fits ? scratch->slots : arena_alloc(arena, slot_bytes),
                        fits ? scratch->seen : arena_alloc(arena, plan->node_count), arena};
    memset(walk.slots, 0, slot_bytes);
    memset(walk.seen, 0, plan->node_count);
    return walk;
}

static bool extract_walk_document(const struct extract_plan *plan, struct walk *walk,
                                  struct err *err) {
    enum json_type type;
    struct json_value ignored;
    if (!json_peek(walk->cursor, &type)) {
        return extract_scan_error(walk->cursor, err);
    }
    if (type != JSON_OBJECT) {
        return json_read(walk->cursor, &ignored)
                   ? err_set(err, ERR_INPUT, "not_object: the value is not a JSON object")
                   : extract_scan_error(walk->cursor, err);
    }
    bool walked = plan->count > 0 ? extract_walk_object(walk, &plan->root)
                                  : json_read(walk->cursor, &ignored);
    return walked || extract_scan_error(walk->cursor, err);
}

static bool extract_run_object(const struct extract_plan *plan, struct json_cursor *cursor,
                               struct arena *arena, struct extract_value *values, struct err *err) {
    struct scratch scratch;
    struct walk walk = extract_begin_walk(plan, cursor, arena, &scratch);
    return extract_walk_document(plan, &walk, err) &&
           extract_convert_all(plan, walk.slots, arena, values, err);
}

bool extract_run(const struct extract_plan *plan, struct slice document, struct arena *arena,
                 struct extract_value *values, struct err *err) {
    struct json_cursor cursor;
    struct scratch scratch;
    json_begin(&cursor, document);
    struct walk walk = extract_begin_walk(plan, &cursor, arena, &scratch);
    if (!extract_walk_document(plan, &walk, err)) {
        return false;
    }
    if (!json_finish(&cursor)) {
        return extract_scan_error(&cursor, err);
    }
    return extract_convert_all(plan, walk.slots, arena, values, err);
}
