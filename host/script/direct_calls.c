#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/timestamp.h"
#include "base/uuid.h"
#include "direct.h"
#include "view_column.h"

/* LuaJIT passes at most 32 arguments: two a column. */
#define DIRECT_MAX_COLUMNS 12
#define DIRECT_MOST_FIELDS 65536 /* as in direct.lua */

/* One text for C and for ffi.cdef. direct_value mirrors struct extract_value as far as Lua reads
 * it: the members of `as` without a step between, since each makes an object in interpreted code,
 * and the lower halves of 64-bit numbers, which are numbers of Lua. No event has 2 GiB.
 * direct_frame mirrors struct script_frame. */
/* clang-format off */
#define DIRECT_DECLARE(...) __VA_ARGS__ const char direct_declarations[] = #__VA_ARGS__;
DIRECT_DECLARE(
    struct direct_value {
        bool present;
        union {
            struct { const char *data; int32_t len; int32_t len_high; };
            int64_t integer;
            int32_t low;
            double number;
            uint8_t uuid[16];
        };
    };
    struct direct_frame {
        const struct direct_value *values;
        bool running;
    };
    struct direct_calls {
        int (*stage)(void *state, int table, int group, const char *key, double key_len, ...);
        int (*touch)(void *state, const char *id, double len);
        const char *(*format_uuid)(void *state, const uint8_t *uuid);
        const char *(*format_date)(void *state, int64_t unix_days);
        const char *(*format_digits)(void *state, int64_t number);
    };
)
/* clang-format on */

#define DIRECT_MIRRORS(member, of)                                                                 \
    _Static_assert(offsetof(struct direct_value, member) == offsetof(struct extract_value, of), #of)
DIRECT_MIRRORS(present, present);
DIRECT_MIRRORS(data, as.text.data);
DIRECT_MIRRORS(len, as.text.len);
DIRECT_MIRRORS(integer, as.integer);
DIRECT_MIRRORS(low, as.integer);
DIRECT_MIRRORS(number, as.number);
DIRECT_MIRRORS(uuid, as.uuid);
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the lower half comes first");
_Static_assert(sizeof(struct direct_value) == sizeof(struct extract_value), "rows of values");
_Static_assert(offsetof(struct direct_frame, values) == offsetof(struct script_frame, values) &&
                   offsetof(struct direct_frame, running) == offsetof(struct script_frame, running),
               "direct_frame mirrors script_frame");

/* ---- merges ---------------------------------------------------------------------------------- */

/* A column as it is passed. */
struct direct_given {
    const char *text; /* may be `coded` */
    double number;    /* the value, or the length of the text */
    bool present;
    char coded[UUID_TEXT_LEN + 1];
};

/* A merge as it is passed. */
struct direct_merge {
    struct script_instance *instance;
    const struct view_table *table;
    const struct view_group *group;
    struct direct_given key;
    struct direct_given given[DIRECT_MAX_COLUMNS];
};

static bool direct_is_text(enum view_type type) {
    return type == VIEW_TEXT || type == VIEW_JSON || type == VIEW_ENUM || type == VIEW_UUID ||
           type == VIEW_DATE;
}

const char *direct_column_kind(enum view_type type) {
    bool number = type == VIEW_INTEGER || type == VIEW_BIGINT || type == VIEW_TIMESTAMP ||
                  type == VIEW_DOUBLE;
    return direct_is_text(type)   ? "text"
           : number               ? "number"
           : type == VIEW_BOOLEAN ? "boolean"
                                  : NULL;
}

bool direct_can_stage(const struct view_table *table, const struct view_group *group) {
    bool can = table->key_count == 1 && direct_is_text(table->key[0].type) &&
               group->column_count <= DIRECT_MAX_COLUMNS;
    for (size_t i = 0; i < group->column_count; i++) {
        can = can && direct_column_kind(group->columns[i].type);
    }
    return can;
}

static bool direct_takes_text(const struct view_column *column, struct slice text) {
    return view_column_takes_length(column, text.len) && view_column_takes_text(text);
}

static struct slice direct_text(const struct direct_given *given) {
    return (struct slice){given->text, (size_t)given->number};
}

static bool direct_takes(const struct view_column *column, const struct direct_given *given) {
    uint8_t uuid[16];
    int64_t days;
    switch (given->present ? column->type : VIEW_BOOLEAN) {
    case VIEW_BOOLEAN:
        return true;
    case VIEW_INTEGER:
        return view_column_takes_integer(given->number);
    case VIEW_BIGINT: /* view_object.c reads digits */
        return view_column_takes_bigint(given->number);
    case VIEW_TIMESTAMP:
        return view_column_takes_time(given->number);
    case VIEW_DOUBLE:
        return isfinite(given->number);
    case VIEW_DATE:
        return date_parse(direct_text(given), &days);
    case VIEW_UUID:
        return uuid_read(direct_text(given), uuid);
    default:
        return direct_takes_text(column, direct_text(given));
    }
}

static bool direct_takes_all(const struct direct_merge *merge) {
    bool takes = merge->instance->merge && direct_takes(&merge->table->key[0], &merge->key);
    for (size_t i = 0; takes && i < merge->group->column_count; i++) {
        takes = direct_takes(&merge->group->columns[i], &merge->given[i]);
    }
    return takes;
}

/* NULL: the event merges more than its limit. */
static void *direct_alloc(const struct script_instance *instance, size_t bytes) {
    return view_object_has_room(instance, bytes) ? arena_alloc(merge_arena(instance->merge), bytes)
                                                 : NULL;
}

static bool direct_copy(const struct script_instance *instance, struct slice text,
                        struct slice *copy) {
    bool room = view_object_has_room(instance, text.len);
    if (room) {
        *copy = arena_copy(merge_arena(instance->merge), text);
    }
    return room;
}

static bool direct_copy_value(const struct script_instance *instance, enum view_type type,
                              const struct direct_given *given, struct view_value *value) {
    *value = (struct view_value){.is_null = !given->present};
    if (!given->present) {
        return true;
    }
    if (type == VIEW_DATE) {
        return date_parse(direct_text(given), &value->as.integer);
    }
    if (type == VIEW_UUID) {
        uint8_t uuid[16];
        return uuid_read(direct_text(given), uuid) &&
               direct_copy(instance, (struct slice){(const char *)uuid, sizeof uuid},
                           &value->as.text);
    }
    if (direct_is_text(type)) {
        return direct_copy(instance, direct_text(given), &value->as.text);
    }
    if (type == VIEW_DOUBLE) {
        value->as.number = given->number + 0.0; /* as in view_object.c: -0 becomes 0 */
    } else {
        value->as.integer = (int64_t)given->number;
    }
    return true;
}

/* Allocates in the order of view_object.c: the limit is met at the same byte. */
static bool direct_copy_all(const struct direct_merge *merge, struct merge_op *op) {
    const struct script_instance *instance = merge->instance;
    size_t count = merge->group->column_count;
    struct view_value *key = direct_alloc(instance, sizeof *key);
    if (!key || !direct_copy_value(instance, merge->table->key[0].type, &merge->key, key)) {
        return false;
    }
    struct view_value *values = direct_alloc(instance, (count + 1) * sizeof *values);
    bool room = values != NULL;
    for (size_t i = 0; room && i < count; i++) {
        room = direct_copy_value(instance, merge->group->columns[i].type, &merge->given[i],
                                 &values[i]);
    }
    op->key = key;
    op->values = values;
    return room;
}

static void direct_set_text(struct direct_given *given, struct slice text) {
    given->text = text.data;
    given->number = (double)text.len;
}

/* Puts the text of a field in the place of its reference, whose code is the length that was passed.
 * False: the event is not under way. */
static bool direct_follow(const struct script_instance *instance, struct direct_given *given) {
    size_t code = (size_t)-given->number - 1, at = code % DIRECT_MOST_FIELDS;
    size_t handler = code / DIRECT_MOST_FIELDS;
    const struct script_frame *frame = &instance->handlers[handler].frame;
    if (!frame->running) {
        return false;
    }
    const struct extract_value *value = &frame->values[at];
    given->present = value->present;
    switch (instance->generation->handlers[handler].fields[at].type) {
    case FIELD_UUID:
        uuid_format(value->as.uuid, given->coded);
        direct_set_text(given, (struct slice){given->coded, UUID_TEXT_LEN});
        return true;
    case FIELD_DATE:
        date_format(value->as.integer, given->coded);
        direct_set_text(given, (struct slice){given->coded, DATE_TEXT_LEN});
        return true;
    default:
        direct_set_text(given, value->as.text);
        return true;
    }
}

static bool direct_follow_all(struct direct_merge *merge) {
    bool follows = merge->key.number >= 0 || direct_follow(merge->instance, &merge->key);
    for (size_t i = 0; follows && i < merge->group->column_count; i++) {
        struct direct_given *given = &merge->given[i];
        bool refers = direct_is_text(merge->group->columns[i].type) && given->number < 0;
        follows = !refers || direct_follow(merge->instance, given);
    }
    return follows && merge->key.present;
}

/* Not 0: nothing is staged, and view_object.c raises the error. */
static int direct_stage(void *state, int table, int group, const char *key, double key_len, ...) {
    struct script_instance *instance = state;
    struct direct_merge merge; /* cleared as far as it is used */
    merge.instance = instance;
    merge.table = &instance->generation->view->tables[table];
    merge.group = &merge.table->groups[group];
    merge.key.text = key;
    merge.key.number = key_len;
    merge.key.present = true;
    va_list arguments;
    va_start(arguments, key_len);
    for (size_t i = 0; i < merge.group->column_count; i++) {
        struct direct_given *given = &merge.given[i];
        bool text = direct_is_text(merge.group->columns[i].type);
        given->text = text ? va_arg(arguments, const char *) : NULL;
        given->number = va_arg(arguments, double);
        given->present = text ? given->text != NULL : va_arg(arguments, double) != 0;
    }
    va_end(arguments);
    struct merge_op op = {.table = (size_t)table, .group = (size_t)group};
    if (!direct_follow_all(&merge) || !direct_takes_all(&merge) || !direct_copy_all(&merge, &op)) {
        return 1;
    }
    merge_stage(instance->merge, &op, instance->version);
    return 0;
}

/* Not 0: nothing is touched, and view_object.c does it or raises the error. */
static int direct_touch(void *state, const char *id, double len) {
    struct script_instance *instance = state;
    if (!instance->merge || instance->host.muted ||
        !view_object_has_room(instance, sizeof(uint64_t))) {
        return 1;
    }
    merge_add_tag(instance->merge, (struct slice){id, (size_t)len});
    return 0;
}

/* ---- events ---------------------------------------------------------------------------------- */

static const char *direct_format_uuid(void *state, const uint8_t *uuid) {
    struct script_instance *instance = state;
    uuid_format(uuid, instance->value_text);
    return instance->value_text;
}

static const char *direct_format_date(void *state, int64_t unix_days) {
    struct script_instance *instance = state;
    date_format(unix_days, instance->value_text);
    return instance->value_text;
}

static const char *direct_format_digits(void *state, int64_t number) {
    struct script_instance *instance = state;
    snprintf(instance->value_text, sizeof instance->value_text, "%" PRId64, number);
    return instance->value_text;
}

const struct direct_calls direct_calls = {direct_stage, direct_touch, direct_format_uuid,
                                          direct_format_date, direct_format_digits};
