#include "stubs.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "script/fuel.h"
#include "spec_private.h"

struct stubs {
    struct bundle support;
    struct bundle file; /* the author's, alone */
};

struct stubs *stubs_read(const char *support, const char *path, struct err *err) {
    struct stubs *stubs = xcalloc(1, sizeof *stubs);
    if (!spec_support_read(&stubs->support, support, err) ||
        !bundle_read_file(&stubs->file, path, err)) {
        err->kind = ERR_INPUT;
        stubs_destroy(stubs);
        return NULL;
    }
    return stubs;
}

void stubs_destroy(struct stubs *stubs) {
    if (stubs) {
        bundle_free(&stubs->support);
        bundle_free(&stubs->file);
        free(stubs);
    }
}

/* Each file doubles/NAME.lua is the binding NAME. [modules] */
static void stubs_open_double(lua_State *L, const char *name) {
    static const char prefix[] = "doubles/";
    if (strncmp(name, prefix, sizeof prefix - 1) == 0) {
        lua_getglobal(L, "require");
        luaL_gsub(L, name, "/", "."); /* the name that the author's file requires */
        lua_call(L, 1, 1);
        lua_getfield(L, -1, "binding");
        lua_setfield(L, -3, name + sizeof prefix - 1);
        lua_pop(L, 1);
    }
}

/* Runs inside a protected call. [stubs] */
static int stubs_run(lua_State *L) {
    const struct stubs *stubs = lua_touserdata(L, 1);
    const struct bundle_file *file = &stubs->file.files[0];
    lua_getfield(L, LUA_REGISTRYINDEX, SANDBOX_MODULES);
    spec_sources_open(L);
    lua_setfield(L, -2, "testing.sources");
    for (size_t i = 0; i < stubs->support.count; i++) {
        stubs_open_double(L, stubs->support.files[i].name);
    }
    struct fuel_source source = {
        {file->text, file->len}, lua_pushfstring(L, "@%s", file->path), false};
    if (fuel_load(L, &source) != 0) {
        return lua_error(L);
    }
    lua_call(L, 0, 0);
    return 0;
}

bool stubs_install(const struct stubs *stubs, struct script_instance *instance, struct err *err) {
    instance->support = &stubs->support;
    return script_guard(instance, stubs_run, (void *)stubs, err);
}
