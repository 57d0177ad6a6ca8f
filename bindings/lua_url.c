/* url for scripts: texts as parts of a URL. */
#include "lua_modules.h"
#include "lua_util.h"

/* RFC 3986 2.3. */
static bool lua_url_is_unreserved(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/* Segments of dots alone would change the path (RFC 3986 5.2.4). */
static bool lua_url_is_dots(struct slice text) {
    return text.len > 0 && text.len <= 2 && text.data[0] == '.' && text.data[text.len - 1] == '.';
}

/* url.encode(text) -> text */
static int lua_url_encode(lua_State *L) {
    static const char digits[] = "0123456789ABCDEF";
    struct slice text = lua_check_text(L, 1, "url.encode", "the text");
    bool dots = lua_url_is_dots(text);
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (lua_url_is_unreserved(c) && !dots) {
            luaL_addchar(&out, (char)c);
        } else {
            luaL_addchar(&out, '%');
            luaL_addchar(&out, digits[c >> 4]);
            luaL_addchar(&out, digits[c & 15]);
        }
    }
    luaL_pushresult(&out);
    return 1;
}

int luaopen_agg_url(lua_State *L) {
    static const luaL_Reg functions[] = {{"encode", lua_url_encode}, {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}
