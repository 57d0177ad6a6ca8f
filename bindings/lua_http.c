/* http for scripts: one request to another service, within its timeout and the time left for the
 * script's call. Each Lua state has one libcurl handle, which keeps connections open. */
#include <ctype.h>
#include <stdlib.h>

#include "base/clock.h"
#include "http_client.h"
#include "lua_host.h"
#include "lua_util.h"

struct handle {
    struct http_client *client;
};

static int lua_http_close_handle(lua_State *L) {
    struct handle *handle = lua_touserdata(L, 1);
    http_client_destroy(handle->client);
    handle->client = NULL;
    return 0;
}

/* ---- the request -------------------------------------------------------------------------- */

static const char call[] = "http.request";

static const char *lua_http_read_method(lua_State *L) {
    static const char *const methods[] = {"GET",   "HEAD",   "POST",   "PUT",
                                          "PATCH", "DELETE", "OPTIONS"};
    lua_getfield(L, 1, "method");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return "GET";
    }
    const char *given = lua_check_name(L, lua_gettop(L), call, "field \"method\"");
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (strcmp(given, methods[i]) == 0) {
            lua_pop(L, 1);
            return methods[i];
        }
    }
    lua_bad_argument(L, lua_gettop(L), call, "field \"method\"",
                     "GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS");
    return NULL;
}

/* A token of RFC 9110. */
static bool lua_http_is_header_name(struct slice name) {
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.data[i];
        if (!isalnum(c) && !(c && strchr("!#$%&'*+-.^_`|~", c))) {
            return false;
        }
    }
    return name.len > 0;
}

/* A line break would begin another header. */
static bool lua_http_is_header_value(struct slice value) {
    return strcspn(value.data, "\r\n") == value.len; /* stops at a NUL too */
}

/* Adds the header at the top of the stack, [name, value], to the list at `lines`. */
static void lua_http_add_header(lua_State *L, int lines) {
    int at = lua_gettop(L);
    struct slice name = lua_check_text(L, at - 1, call, "a header's name");
    if (!lua_http_is_header_name(name)) {
        lua_bad_argument(L, at - 1, call, "a header's name", "letters, digits and hyphens");
    }
    const char *what = lua_pushfstring(L, "header \"%s\"", name.data);
    struct slice value = lua_check_text(L, at, call, what);
    if (!lua_http_is_header_value(value)) {
        lua_bad_argument(L, at, call, what, "text without line breaks and NUL");
    }
    /* curl's syntax for an empty value is a semicolon */
    lua_pushfstring(L, value.len ? "%s: %s" : "%s;", name.data, value.data);
    lua_rawseti(L, lines, (int)lua_objlen(L, lines) + 1);
    lua_settop(L, at);
}

static int lua_http_compare_lines(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Reads the headers as lines; leaves two values on the stack that own them. */
static void lua_http_read_headers(lua_State *L, struct http_client_request *request) {
    lua_newtable(L);
    int lines = lua_gettop(L);
    lua_getfield(L, 1, "headers");
    if (!lua_isnil(L, -1)) {
        int at = lua_gettop(L);
        lua_check_table(L, at, call, "field \"headers\"");
        for (lua_pushnil(L); lua_next(L, at); lua_settop(L, at + 1)) {
            lua_http_add_header(L, lines);
        }
    }
    lua_settop(L, lines);
    size_t count = lua_objlen(L, lines);
    const char **headers = lua_newuserdata(L, (count + 1) * sizeof *headers);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, lines, (int)i + 1);
        headers[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    qsort(headers, count, sizeof *headers, lua_http_compare_lines); /* Lua tables have no order */
    request->headers = headers;
    request->header_count = count;
}

static struct http_client_request lua_http_read_request(lua_State *L) {
    static const char *const fields[] = {"url", "method", "headers", "body", "timeout_ms"};
    struct http_client_request request = {0};
    lua_settop(L, 1);
    lua_check_table(L, 1, call, "the argument");
    lua_check_fields(L, 1, call, fields, sizeof fields / sizeof *fields);
    lua_getfield(L, 1, "url");
    request.url = lua_check_name(L, 2, call, "field \"url\"");
    request.method = lua_http_read_method(L);
    request.body = lua_field_text(L, 1, call, "body", false);
    if (request.body.data &&
        (strcmp(request.method, "GET") == 0 || strcmp(request.method, "HEAD") == 0)) {
        luaL_error(L, "%s: a %s has no body", call, request.method);
    }
    if (!request.body.data && request.method[0] == 'P') {
        request.body = slice_of(""); /* POST, PUT and PATCH send a length, also 0 */
    }
    lua_http_read_headers(L, &request);
    request.timeout_ms = lua_field_timeout_ms(L, 1, call);
    request.tls_ca = lua_host_of(L)->services.http_tls_ca;
    return request;
}

/* ---- the response --------------------------------------------------------------------------- */

static struct slice lua_http_trimmed(struct slice text) {
    while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

/* Into the table at the top. Repeated headers are joined; set-cookie is a list. */
static void lua_http_set_header(lua_State *L, struct slice name, struct slice value) {
    luaL_Buffer lower;
    luaL_buffinit(L, &lower);
    for (size_t i = 0; i < name.len; i++) {
        luaL_addchar(&lower, (char)tolower((unsigned char)name.data[i]));
    }
    luaL_pushresult(&lower); /* [headers, name] */
    lua_pushvalue(L, -1);
    lua_rawget(L, -3); /* [headers, name, held] */
    if (strcmp(lua_tostring(L, -2), "set-cookie") == 0) {
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            lua_newtable(L);
            lua_mark_list(L);
        }
        lua_pushlstring(L, value.data, value.len);
        lua_rawseti(L, -2, (int)lua_objlen(L, -2) + 1);
    } else if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushlstring(L, value.data, value.len);
    } else {
        lua_pushliteral(L, ", ");
        lua_pushlstring(L, value.data, value.len);
        lua_concat(L, 3);
    }
    lua_rawset(L, -3);
}

static void lua_http_push_headers(lua_State *L, struct slice lines) {
    lua_newtable(L);
    for (const char *at = lines.data, *end = at + lines.len; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const char *colon = memchr(at, ':', (size_t)(stop - at));
        if (colon) {
            struct slice value = {colon + 1, (size_t)(stop - colon - 1)};
            lua_http_set_header(L, (struct slice){at, (size_t)(colon - at)},
                                lua_http_trimmed(value));
        }
        at = stop + 1;
    }
}

/* http.request(request) -> { status, headers, body } | nil, failure */
static int lua_http_request(lua_State *L) {
    struct handle *handle = lua_touserdata(L, lua_upvalueindex(1));
    struct http_client_request request = lua_http_read_request(L);
    struct http_client_response answer;
    struct err err = {0};
    if (!lua_host_may_ask(L, "http", &err)) {
        return lua_push_failure(L, &err);
    }
    if (request.timeout_ms == 0) {
        err_set(&err, ERR_TIMEOUT, "no time is left for a request");
        return lua_push_failure(L, &err);
    }
    if (!handle->client) {
        handle->client = http_client_create();
    }
    int64_t began_us = clock_monotonic_us();
    bool ok = http_client_run(handle->client, &request, &answer, &err);
    lua_host_note_wait(lua_host_of(L), began_us);
    if (!ok) {
        return lua_push_failure(L, &err);
    }
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, answer.status);
    lua_setfield(L, -2, "status");
    lua_http_push_headers(L, answer.headers);
    lua_setfield(L, -2, "headers");
    lua_pushlstring(L, answer.body.data, answer.body.len);
    lua_setfield(L, -2, "body");
    return 1;
}

int luaopen_agg_http(lua_State *L) {
    static const luaL_Reg functions[] = {{"request", lua_http_request}, {NULL, NULL}};
    lua_createtable(L, 0, 1);
    lua_new_resource(L, sizeof(struct handle), lua_http_close_handle);
    lua_bind_functions(L, functions);
    return 1;
}
