/* uuid for scripts: a UUID from a name (RFC 9562, section 5.5). No random UUIDs: a replay could not
 * repeat them. */
#include "base/uuid.h"
#include "lua_modules.h"
#include "lua_util.h"

/* uuid.v5(namespace, name) -> text */
static int lua_uuid_v5(lua_State *L) {
    static const char call[] = "uuid.v5";
    uint8_t space[16], uuid[16];
    char text[UUID_TEXT_LEN + 1];
    struct slice name = lua_check_text(L, 2, call, "the name");
    if (!uuid_read(lua_check_text(L, 1, call, "the namespace"), space)) {
        return lua_bad_argument(L, 1, call, "the namespace", "a UUID");
    }
    uuid_generate_v5(space, name, uuid);
    uuid_format(uuid, text);
    lua_pushlstring(L, text, UUID_TEXT_LEN);
    return 1;
}

int luaopen_agg_uuid(lua_State *L) {
    static const luaL_Reg functions[] = {{"v5", lua_uuid_v5}, {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}
