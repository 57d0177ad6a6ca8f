#include "merge_sites.h"

#include "base/lua_lexer.h"
#include "direct.h"

#define MERGE_CALL ":merge("
#define SITES_LOCAL "local " DIRECT_MERGE "=" DIRECT_MERGE ";"

/* A call. A form that is not plain is no site: the method checks its table. */
struct merge_site {
    const struct view_table *table;
    const struct view_group *group;
    const char *colon; /* MERGE_CALL begins here */
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
 * lexer->mark. A comma within a function's body ends it early: then what follows is no site. */
static bool merge_site_skip_expression(struct lua_lexer *lexer, const char *ends) {
    int depth = 0;
    for (enum lua_token kind; (kind = lua_lexer_next(lexer)) != LUA_TOKEN_END;) {
        if (kind == LUA_TOKEN_NAME) {
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

/* { NAME = expression, … }: every name is a column of the group. */
static bool merge_site_take_columns(struct lua_lexer *lexer, const struct view_group *group) {
    if (!merge_site_take_mark(lexer, '{')) {
        return false;
    }
    for (;;) {
        enum lua_token kind = lua_lexer_next(lexer);
        if (merge_site_is_mark(lexer, kind, '}')) {
            return true;
        }
        if (kind != LUA_TOKEN_NAME || lexer->quote || !merge_site_is_column(group, lexer->text) ||
            !merge_site_take_mark(lexer, '=') || !merge_site_skip_expression(lexer, ",;}")) {
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
    if (!merge_site_take_mark(lexer, '.') || !merge_site_take_name(lexer, false) ||
        !(site->table = merge_site_find_table(view, lexer->text)) ||
        strncmp(lexer->at, MERGE_CALL, sizeof MERGE_CALL - 1) != 0) {
        return false;
    }
    site->colon = lexer->at;
    lexer->at += sizeof MERGE_CALL - 1; /* one line */
    return merge_site_skip_expression(lexer, ",") && merge_site_take_name(lexer, true) &&
           (site->group = merge_site_find_group(site->table, lexer->text)) &&
           direct_can_stage(site->table, site->group) && merge_site_take_mark(lexer, ',') &&
           merge_site_take_columns(lexer, site->group) && merge_site_take_mark(lexer, ')');
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
            buffer_append_text(out, DIRECT_MERGE "(");
            buffer_append(out, begin, (size_t)(site.colon - begin));
            buffer_append_text(out, ",");
            copied = site.colon + sizeof MERGE_CALL - 1;
        }
    }
    bool found = copied != text;
    if (found) {
        buffer_append_text(out, copied);
    }
    return found;
}
