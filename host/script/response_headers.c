/* response_headers: reads the headers of a route's response, raw and inside the protected call. A
 * wrong name or value is the script's mistake and raises. */
#include <stdlib.h>
#include <strings.h>

#include "base/xalloc.h"
#include "script_private.h"

#define MAX_HEADERS 32
#define MAX_BYTES 8192
#define TOKEN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~"

/* They state where the response ends, what becomes of the connection (RFC 9110 7.6.1) and which
 * version of a body this is: the program sets them. */
static const char *const response_headers_own[] = {"Connection",
                                                   "Content-Encoding",
                                                   "Content-Length",
                                                   "Content-Range",
                                                   "Date",
                                                   "ETag",
                                                   "Keep-Alive",
                                                   "Proxy-Authenticate",
                                                   "Proxy-Connection",
                                                   "TE",
                                                   "Trailer",
                                                   "Transfer-Encoding",
                                                   "Upgrade",
                                                   "X-Content-Type-Options"};

static bool response_headers_is(const char *name, const char *other) {
    return strcasecmp(name, other) == 0;
}

static void response_headers_check_name(lua_State *L, const char *name, size_t len) {
    if (len == 0 || strspn(name, TOKEN) != len) {
        luaL_error(L,
                   "`headers` of its response has the name \"%s\": a name has letters, digits "
                   "and -_ only",
                   name);
    }
    const struct config *config = sandbox_instance(L)->config;
    const char *correlation = config->http.correlation_id_header;
    bool own = correlation && response_headers_is(name, correlation);
    for (size_t i = 0; i < sizeof response_headers_own / sizeof *response_headers_own; i++) {
        own = own || response_headers_is(name, response_headers_own[i]);
    }
    if (own) {
        luaL_error(L, "`headers` of its response has %s, which the program sets: remove it", name);
    }
}

/* Nothing in a value can end its line (RFC 9110 5.5). */
static void response_headers_check_value(lua_State *L, const char *name, const char *value,
                                         size_t len) {
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)value[i];
        if ((c < 0x20 && c != '\t') || c >= 0x7F) {
            luaL_error(L,
                       "the header %s of its response holds the byte %d: a value is printable "
                       "ASCII; percent-encode other bytes",
                       name, (int)c);
        }
    }
}

/* Whether one of the lines has the name. */
static bool response_headers_has(const char *lines, const char *name, size_t len) {
    while (*lines) {
        if (strncasecmp(lines, name, len) == 0 && lines[len] == ':') {
            return true;
        }
        lines = strchr(lines, '\n') + 1;
    }
    return false;
}

static void response_headers_note(struct script_headers *headers, const char *name) {
    headers->has_content_type =
        headers->has_content_type || response_headers_is(name, "Content-Type");
    headers->has_cache_control =
        headers->has_cache_control || response_headers_is(name, "Cache-Control");
    headers->has_retry_after = headers->has_retry_after || response_headers_is(name, "Retry-After");
}

/* Appends the line for the key and value at the top to headers->lines, of which *used bytes are in
 * use. */
static void response_headers_add(lua_State *L, struct script_headers *headers, size_t *used) {
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) {
        luaL_error(L, "`headers` of its response maps names to strings, not a %s to a %s",
                   luaL_typename(L, -2), luaL_typename(L, -1));
    }
    size_t name_len, len;
    const char *name = lua_tolstring(L, -2, &name_len), *value = lua_tolstring(L, -1, &len);
    response_headers_check_name(L, name, name_len);
    response_headers_check_value(L, name, value, len);
    if (response_headers_has(headers->lines, name, name_len)) {
        luaL_error(L, "`headers` of its response has %s twice, in two spellings", name);
    }
    response_headers_note(headers, name);
    if (*used + name_len + len + 4 > MAX_BYTES) {
        luaL_error(L, "`headers` of its response has more than %d bytes", MAX_BYTES);
    }
    char *to = headers->lines + *used;
    memcpy(to, name, name_len);
    memcpy(to + name_len, ": ", 2);
    memcpy(to + name_len + 2, value, len);
    memcpy(to + name_len + 2 + len, "\r\n", 3);
    *used += name_len + len + 4;
}

void response_take_headers(lua_State *L, int at, const struct script_route *route,
                           struct script_headers *headers) {
    size_t used = 0;
    int count = 0;
    lua_pushliteral(L, "headers");
    lua_rawget(L, at);
    if (!lua_isnil(L, -1) && !lua_istable(L, -1)) {
        luaL_error(L, "`headers` of its response is a table, not a %s", luaL_typename(L, -1));
    }
    if (lua_istable(L, -1) && route->cache_key) {
        luaL_error(L, "its response has `headers`, and the route has `cache`: only the body is "
                      "cached; remove one of them");
    }
    if (lua_istable(L, -1)) {
        headers->lines = xcalloc(1, MAX_BYTES + 1);
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
            if (++count > MAX_HEADERS) {
                luaL_error(L, "`headers` of its response has more than %d", MAX_HEADERS);
            }
            response_headers_add(L, headers, &used);
        }
    }
    lua_pop(L, 1);
}
