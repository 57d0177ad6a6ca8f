/* fuzz_pattern: patterns of scripts. The input is a pattern, a NUL, and the subject. */
#include <lauxlib.h>

#include "base/clock.h"
#include "script/script_private.h"
#include "fuzz.h"

static struct config config;
static struct script_generation generation; /* without files */
static struct script_instance instance = {.generation = &generation, .config = &config};

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    struct err err = {0};
    config.scripts.memory_limit_mb = 64;
    PROMISE(sandbox_open(&instance, &err));
    return 0;
}

struct search {
    const char *name; /* of the function of the string library */
    struct slice subject, pattern;
    bool replace;
};

static int run_search(lua_State *L) {
    const struct search *search = lua_touserdata(L, 1);
    lua_getglobal(L, "string");
    lua_getfield(L, -1, search->name);
    lua_pushlstring(L, search->subject.data, search->subject.len);
    lua_pushlstring(L, search->pattern.data, search->pattern.len);
    if (search->replace) {
        lua_pushliteral(L, "<%0%1>");
    }
    lua_call(L, search->replace ? 3 : 2, 1);
    return 0;
}

/* The function on the bytes, in a protected call of its own; ends by the clock at the latest. */
static void call(const char *name, struct slice subject, struct slice pattern, bool replace) {
    struct search search = {name, subject, pattern, replace};
    struct err err = {0};
    (void)script_call(&instance, run_search, &search, 2, &err); /* an error is as good */
    PROMISE(lua_gettop(instance.host.L) == 0);
    instance.host.healthy = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    const char *end = size ? memchr(text, '\0', size) : NULL;
    size_t pattern_len = end ? (size_t)(end - text) : size;
    struct slice pattern = {text, pattern_len};
    struct slice subject = {end ? end + 1 : "", end ? size - pattern_len - 1 : 0};
    call("find", subject, pattern, false);
    call("match", subject, pattern, false);
    call("gsub", subject, pattern, true);
    return 0;
}
