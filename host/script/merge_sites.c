#include "merge_sites.h"

#include "base/lua_lexer.h"
#include "direct.h"

#define MERGE_CALL ":merge("
#define SITES_LOCAL "local " DIRECT_REFERENCES "=" DIRECT_REFERENCES ";"

/* The key, or a value of a column: slices of the text. */
struct merge_site_value {
    struct slice column, text;
    struct slice field; /* the text ends with event.FIELD, and has nothing before it; else absent */
};
/* A call. A form that is not plain is no site: the method checks its table. */
struct merge_site {
    const struct view_table *table;
    const struct view_group *group;
    const char *colon;           /* MERGE_CALL begins here */
    struct merge_site_value key; /* of no column */
    struct slice group_name;
    const char *group_end; /* behind the quote of the group's name */
    const char *columns;   /* the opening brace */
    struct merge_site_value values[VIEW_MAX_COLUMNS];
    size_t count;
};

static bool merge_site_is_mark(const struct lua_lexer *lexer, enum lua_token kind, char mark) {
    return kind == LUA_TOKEN_OTHER && lexer->mark == mark;
}

static bool merge_site_take_mark(struct lua_lexer *lexer, char mark) {
    enum lua_token kind = lua_lexer_next(lexer);
    return merge_site_is_mark(lexer, kind, mark);
}

/* A name, not a string; or a string, if `quoted`. */
static bool merge_site_take_name(struct lua_lexer *lexer, bool quoted) {
    return lua_lexer_next(lexer) == LUA_TOKEN_NAME && (lexer->quote != '\0') == quoted;
}

/* Skips an expression up to a mark of `ends` outside of parentheses and braces, which becomes
 * lexer->mark. A comma in the body of a function would end it too early: a function outside of
 * parentheses makes the call no site. `end` is set behind the expression's last token. */
static bool merge_site_skip_expression(struct lua_lexer *lexer, const char *ends,
                                       const char **end) {
    int depth = 0;
    *end = lexer->at;
    for (enum lua_token kind; (kind = lua_lexer_next(lexer)) != LUA_TOKEN_END; *end = lexer->at) {
        if (kind == LUA_TOKEN_NAME) {
            if (depth == 0 && !lexer->quote && slice_equal(lexer->text, slice_of("function"))) {
                return false;
            }
            continue;
        }
        if (depth == 0 && strchr(ends, lexer->mark)) {
            return true;
        }
        depth += lexer->mark == '(' || lexer->mark == '{';
        depth -= lexer->mark == ')' || lexer->mark == '}';
        if (depth < 0) {
            return false;
        }
    }
    return false;
}

static const struct view_table *merge_site_find_table(const struct view *view, struct slice name) {
    for (size_t i = 0; i < view->table_count; i++) {
        if (slice_equal(name, slice_of(view->tables[i].name))) {
            return &view->tables[i];
        }
    }
    return NULL;
}

static const struct view_group *merge_site_find_group(const struct view_table *table,
                                                      struct slice name) {
    for (size_t i = 0; i < table->group_count; i++) {
        if (slice_equal(name, slice_of(table->groups[i].name))) {
            return &table->groups[i];
        }
    }
    return NULL;
}

static bool merge_site_is_column(const struct view_group *group, struct slice name) {
    for (size_t i = 0; i < group->column_count; i++) {
        if (slice_equal(name, slice_of(group->columns[i].name))) {
            return true;
        }
    }
    return false;
}

/* Whether the name is of a column that has no value yet. */
static bool merge_site_may_add(const struct merge_site *site, struct slice name) {
    for (size_t i = 0; i < site->count; i++) {
        if (slice_equal(site->values[i].column, name)) {
            return false;
        }
    }
    return site->count < VIEW_MAX_COLUMNS && merge_site_is_column(site->group, name);
}

/* The field of event.FIELD, if the text is that, with blanks and comments only before it. */
static struct slice merge_site_field(struct slice text) {
    struct lua_lexer lexer = {.at = text.data, .line = 1};
    const char *end = text.data + text.len;
    bool is_event = merge_site_take_name(&lexer, false) &&
                    slice_equal(lexer.text, slice_of("event")) && *lexer.at == '.';
    lexer.at += is_event;
    bool is_field = is_event && merge_site_take_name(&lexer, false) && lexer.at == end &&
                    lexer.text.data[-1] == '.';
    return is_field ? lexer.text : (struct slice){0};
}

/* An expression and the mark behind it, one of `ends`, which becomes lexer->mark. */
static bool merge_site_take_expression(struct lua_lexer *lexer, const char *ends,
                                       struct merge_site_value *value) {
    const char *begin = lexer->at, *end;
    if (!merge_site_skip_expression(lexer, ends, &end)) {
        return false;
    }
    value->text = (struct slice){begin, (size_t)(end - begin)};
    value->field = merge_site_field(value->text);
    return true;
}

/* NAME = expression, and the mark behind it, which becomes lexer->mark. The lexer is behind NAME.
 */
static bool merge_site_take_value(struct lua_lexer *lexer, struct merge_site *site) {
    size_t count = site->count;
    struct merge_site_value *value = &site->values[count];
    value->column = lexer->text;
    if (!merge_site_may_add(site, value->column) || !merge_site_take_mark(lexer, '=')) {
        return false;
    }
    site->count += merge_site_take_expression(lexer, ",;}", value);
    return site->count > count;
}

/* { NAME = expression, … }: every name is a column of the group. */
static bool merge_site_take_columns(struct lua_lexer *lexer, struct merge_site *site) {
    if (!merge_site_take_mark(lexer, '{')) {
        return false;
    }
    site->columns = lexer->at - 1;
    for (;;) {
        enum lua_token kind = lua_lexer_next(lexer);
        if (merge_site_is_mark(lexer, kind, '}')) {
            return site->count > 0;
        }
        if (kind != LUA_TOKEN_NAME || lexer->quote || !merge_site_take_value(lexer, site)) {
            return false;
        }
        if (lexer->mark == '}') {
            return true;
        }
    }
}

/* The lexer is behind `view`. */
static bool merge_site_take(const struct view *view, struct lua_lexer *lexer,
                            struct merge_site *site) {
    *site = (struct merge_site){0};
    if (!merge_site_take_mark(lexer, '.') || !merge_site_take_name(lexer, false) ||
        !(site->table = merge_site_find_table(view, lexer->text)) ||
        strncmp(lexer->at, MERGE_CALL, sizeof MERGE_CALL - 1) != 0) {
        return false;
    }
    site->colon = lexer->at;
    lexer->at += sizeof MERGE_CALL - 1; /* one line */
    if (!merge_site_take_expression(lexer, ",", &site->key) || !merge_site_take_name(lexer, true) ||
        !(site->group = merge_site_find_group(site->table, lexer->text)) ||
        !direct_can_stage(site->table, site->group)) {
        return false;
    }
    site->group_name = lexer->text;
    site->group_end = lexer->at;
    return merge_site_take_mark(lexer, ',') && merge_site_take_columns(lexer, site) &&
           merge_site_take_mark(lexer, ')');
}

/* Of a part of the text that is left out: its lines stay. */
static void merge_site_append_ends_of_lines(struct buffer *out, const char *begin,
                                            const char *end) {
    for (const char *at = begin; at < end; at++) {
        if (*at == '\n' || *at == '\r') {
            buffer_append(out, at, 1);
        }
    }
}

/* A field that direct.lua can refer to becomes its reference. */
static void merge_site_write_value(const struct merge_site_value *value, struct buffer *out) {
    struct slice field = value->field;
    if (!field.data) {
        buffer_append_slice(out, value->text);
        return;
    }
    const char *event = field.data - sizeof "event";
    buffer_append(out, value->text.data, (size_t)(event - value->text.data));
    buffer_append_format(
        out, "(" DIRECT_REFERENCES "[event]and " DIRECT_REFERENCES "[event].%.*s or event.%.*s)",
        (int)field.len, field.data, (int)field.len, field.data);
}

/* The group and the columns: a mark before what may be given by reference. */
static void merge_site_write_plan(const struct merge_site *site, struct buffer *out) {
    buffer_append_text(out, site->key.field.data ? "\"" DIRECT_MARK : "\"");
    buffer_append_slice(out, site->group_name);
    for (size_t i = 0; i < site->count; i++) {
        buffer_append_text(out, site->values[i].field.data ? "," DIRECT_MARK : ",");
        buffer_append_slice(out, site->values[i].column);
    }
    buffer_append_text(out, "\"");
}

/* `begin`: of `view`; `end`: behind the closing parenthesis. A value has the line of the mark
 * behind it, which therefore follows at once. */
static void merge_site_write(const struct merge_site *site, const char *begin, const char *end,
                             struct buffer *out) {
    const char *key_end = site->key.text.data + site->key.text.len, *at = site->columns;
    buffer_append_text(out, DIRECT_MERGE "(");
    buffer_append(out, begin, (size_t)(site->colon - begin));
    buffer_append_text(out, ",");
    merge_site_write_value(&site->key, out);
    buffer_append(out, key_end, (size_t)(site->group_name.data - 1 - key_end));
    merge_site_write_plan(site, out);
    buffer_append(out, site->group_end, (size_t)(site->columns - site->group_end));
    for (size_t i = 0; i < site->count; i++) {
        const struct merge_site_value *value = &site->values[i];
        merge_site_append_ends_of_lines(out, at, value->text.data);
        merge_site_write_value(value, out);
        buffer_append_text(out, i + 1 < site->count ? "," : ")");
        at = value->text.data + value->text.len;
    }
    merge_site_append_ends_of_lines(out, at, end);
}

bool merge_sites_write(const struct view *view, const char *text, struct buffer *out) {
    struct lua_lexer lexer = {.at = text, .line = 1};
    const char *copied = text;
    char before = '\0';
    for (enum lua_token kind; (kind = lua_lexer_next(&lexer)) != LUA_TOKEN_END;) {
        const char *begin = lexer.text.data;
        bool is_view = kind == LUA_TOKEN_NAME && !lexer.quote && before != '.' && before != ':' &&
                       slice_equal(lexer.text, slice_of("view"));
        before = kind == LUA_TOKEN_OTHER ? lexer.mark : '\0';
        struct lua_lexer ahead = lexer;
        struct merge_site site;
        if (is_view && merge_site_take(view, &ahead, &site)) {
            buffer_append_text(out, copied == text ? SITES_LOCAL : "");
            buffer_append(out, copied, (size_t)(begin - copied));
            merge_site_write(&site, begin, ahead.at, out);
            copied = ahead.at;
            lexer = ahead;
            before = ')';
        }
    }
    bool found = copied != text;
    if (found) {
        buffer_append_text(out, copied);
    }
    return found;
}
