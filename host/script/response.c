/* response: reads a route's result, raw and inside the protected call. A wrong key, type or status
 * is the script's mistake and raises. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/json_put.h"
#include "base/nearest.h"
#include "base/xalloc.h"
#include "script_private.h"

#define EXPECTED "a table with `status` and `body`, `error` or `stream`, or `unavailable`"

static void response_set_body(struct script_response *response, const char *body, size_t len) {
    char *copy = xcalloc(1, len + 1);
    memcpy(copy, body, len);
    response->body = (struct slice){copy, len};
}

/* type: of a problem document (RFC 9457); data NULL: none. */
static void response_set_error(struct script_response *response, int status, struct slice message,
                               struct slice type) {
    struct buffer body = {0};
    response->status = status;
    buffer_append_text(&body, "{\"error\":");
    buffer_append_json_string(&body, message);
    if (type.data) {
        buffer_append_text(&body, ",\"type\":");
        buffer_append_json_string(&body, type);
    }
    buffer_append_text(&body, "}");
    response_set_body(response, body.data, body.len);
    buffer_free(&body);
}

static void response_check_keys(lua_State *L, int at) {
    static const char *const known[] = {"status",  "body",        "error", "type",
                                        "headers", "unavailable", "tags",  "stream"};
    char hint[NEAREST_HINT_CAP];
    for (lua_pushnil(L); lua_next(L, at); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            luaL_error(L, "its response has a key that is a %s: a response is " EXPECTED,
                       luaL_typename(L, -2));
        }
        const char *name = lua_tostring(L, -2);
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
            found = found || strcmp(name, known[i]) == 0;
        }
        if (!found) {
            luaL_error(L, "its response has the key \"%s\", which no response has: %s", name,
                       nearest_hint(hint, name, known, sizeof known / sizeof *known));
        }
    }
}

static void response_push(lua_State *L, int at, const char *key) {
    lua_pushstring(L, key);
    lua_rawget(L, at);
}

/* The string response[key], borrowed from the table; NULL: absent. */
static const char *response_text(lua_State *L, int at, const char *key, size_t *len) {
    response_push(L, at, key);
    if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TSTRING) {
        luaL_error(L, "`%s` of its response is a string, not a %s", key, luaL_typename(L, -1));
    }
    const char *text = lua_isnil(L, -1) ? NULL : lua_tolstring(L, -1, len);
    lua_pop(L, 1);
    return text;
}

static int response_status(lua_State *L, int at) {
    response_push(L, at, "status");
    bool number = lua_type(L, -1) == LUA_TNUMBER;
    double status = number ? lua_tonumber(L, -1) : 0;
    if (!(status >= 200 && status <= 599 && status == floor(status))) {
        luaL_error(L, "`status` of its response is a whole number from 200 to 599, not %s%s",
                   number ? "" : "a ", number ? lua_tostring(L, -1) : luaL_typename(L, -1));
    }
    lua_pop(L, 1);
    return (int)status;
}

static bool response_is_null(lua_State *L) {
    return lua_isnil(L, -1) || (lua_islightuserdata(L, -1) && !lua_touserdata(L, -1));
}

/* Takes the tag at the top, whose key is below it. */
static void response_take_tag(lua_State *L, struct script_response *response) {
    struct slice tag;
    if (lua_type(L, -2) != LUA_TNUMBER) {
        luaL_error(L, "`tags` of its response is a list of ids: it has a key that is a %s",
                   luaL_typename(L, -2));
    }
    if (response_is_null(L)) {
        return;
    }
    if (lua_type(L, -1) != LUA_TSTRING) {
        luaL_error(L, "item %d of `tags` of its response is a string, not a %s",
                   (int)lua_tointeger(L, -2), luaL_typename(L, -1));
    }
    tag.data = lua_tolstring(L, -1, &tag.len);
    response->tags[response->tag_count++] = hash64(tag);
    if (sandbox_instance(L)->host.muted) {
        json_put_text(&response->tag_texts, NULL, tag);
    }
}

/* Takes the list at the top by its keys and not by its length: that of { nil, id, nil } is 0. */
static void response_take_list(lua_State *L, struct script_response *response) {
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        count++;
    }
    response->tags = xcalloc(count + 1, sizeof *response->tags);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        response_take_tag(L, response);
    }
}

static void response_take_tags(lua_State *L, int at, struct script_response *response) {
    response_push(L, at, "tags");
    if (!response_is_null(L) && !lua_istable(L, -1)) {
        luaL_error(L, "`tags` of its response is a list of ids, not a %s", luaL_typename(L, -1));
    }
    if (lua_istable(L, -1)) {
        response_take_list(L, response);
    }
    lua_pop(L, 1);
}

/* Copies the string failure[key]; "": absent. */
static void response_copy_text(lua_State *L, int at, const char *key, char *out, size_t size) {
    response_push(L, at, key);
    snprintf(out, size, "%s", lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "");
    lua_pop(L, 1);
}

void response_read_failure(lua_State *L, int at, struct err *err) {
    static const enum err_kind kinds[] = {ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_INPUT};
    char kind[16], message[1024];
    response_copy_text(L, at, "kind", kind, sizeof kind);
    response_copy_text(L, at, "message", message, sizeof message);
    enum err_kind is = ERR_INTERNAL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        is = strcmp(kind, err_kind_name(kinds[i])) == 0 ? kinds[i] : is;
    }
    err_set(err, is, "%s", message);
    response_copy_text(L, at, "sqlstate", err->sqlstate, sizeof err->sqlstate);
}

/* A failure of a binding, or a text. */
static bool response_take_unavailable(lua_State *L, int at, struct err *outage) {
    response_push(L, at, "unavailable");
    bool there = !lua_isnil(L, -1);
    if (lua_istable(L, -1)) {
        response_read_failure(L, lua_gettop(L), outage);
        outage->kind = outage->kind == ERR_TIMEOUT ? ERR_TIMEOUT : ERR_UNAVAILABLE;
    } else if (lua_type(L, -1) == LUA_TSTRING) {
        err_set(outage, ERR_UNAVAILABLE, "%s", lua_tostring(L, -1));
    } else if (there) {
        luaL_error(L, "`unavailable` of its response is a failure, not a %s", luaL_typename(L, -1));
    }
    lua_pop(L, 1);
    return there;
}

static void response_take_body(lua_State *L, int at, struct script_response *response) {
    size_t len = 0, error_len = 0, type_len = 0;
    int status = response_status(L, at);
    const char *error = response_text(L, at, "error", &error_len);
    const char *body = response_text(L, at, "body", &len);
    const char *type = response_text(L, at, "type", &type_len);
    if (type && !error) {
        luaL_error(L, "its response has `type` without `error`: it names the kind of an error");
    }
    if (error && body) {
        luaL_error(L, "its response has `body` and `error`: give one of them");
    }
    if (status == 204 || status == 205 || status == 304) {
        if (error || len > 0) {
            luaL_error(L, "its response has the status %d and a body: that status has none",
                       status);
        }
        body = "";
    } else if (error && status < 400) {
        luaL_error(L, "its response has `error` with the status %d: an error is 400 to 599",
                   status);
    }
    if (error) {
        response_set_error(response, status, (struct slice){error, error_len},
                           (struct slice){type, type_len});
    } else if (body) {
        response->status = status;
        response_set_body(response, body, len);
    } else if (response->is_stream) {
        response->status = status;
    } else {
        luaL_error(L, "its response has neither `body` nor `error`: a response is " EXPECTED);
    }
}

void script_response_free(struct script_response *response) {
    free((char *)response->body.data);
    free(response->headers.lines);
    free(response->tags);
    buffer_free(&response->tag_texts);
    *response = (struct script_response){0};
}

bool response_take(lua_State *L, const struct script_route *route, struct script_response *response,
                   struct err *outage) {
    size_t len;
    int at = lua_gettop(L);
    if (!lua_istable(L, at)) {
        luaL_error(L, "it returned a %s, which is no response: a response is " EXPECTED,
                   luaL_typename(L, at));
    }
    if (lua_getmetatable(L, at)) {
        luaL_error(L, "it returned a table with a metatable, such as its request or a module: an "
                      "response is " EXPECTED);
    }
    response_check_keys(L, at);
    bool unavailable = response_take_unavailable(L, at, outage);
    response->is_stream = response_stream_take(L, at, route);
    if (!unavailable) {
        response_take_body(L, at, response);
        response_take_headers(L, at, route, &response->headers);
        if (response->headers.has_content_type && response_text(L, at, "error", &len)) {
            luaL_error(L, "its response has `error` and a Content-Type: an error is JSON");
        }
    }
    response_take_tags(L, at, response);
    return unavailable;
}
