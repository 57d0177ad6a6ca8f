/* substring: string.sub and string.byte whose last position is compared with 0 before the call. In
 * LuaJIT before 2026 code that was compiled for a position behind the text's end takes a negative
 * one for such a position. The comparison keeps the two apart. */
#include <lualib.h>

#include "script_private.h"

/* What raises is a tail call: the error has the script's line. */
static const char substring_text[] =
    "local sub, byte, type = ...\n"
    "return function(text, first, last)\n"
    "  if type(text) == 'string' and type(first) == 'number' and type(last) == 'number' then\n"
    "    if last >= 0 then\n"
    "      local part = sub(text, first, last)\n"
    "      return part\n"
    "    end\n"
    "    local part = sub(text, first, last)\n"
    "    return part\n"
    "  end\n"
    "  return sub(text, first, last)\n"
    "end, function(text, first, last)\n"
    "  if type(last) == 'number' and last >= 0 then return byte(text, first, last) end\n"
    "  return byte(text, first, last)\n"
    "end";

void substring_replace(lua_State *L) {
    lua_getglobal(L, LUA_STRLIBNAME);
    if (luaL_loadbuffer(L, substring_text, sizeof substring_text - 1, "=string")) {
        lua_error(L);
    }
    lua_getfield(L, -2, "sub");
    lua_getfield(L, -3, "byte");
    lua_getglobal(L, "type");
    lua_call(L, 3, 2);
    lua_setfield(L, -3, "byte");
    lua_setfield(L, -2, "sub");
    lua_pop(L, 1);
}
