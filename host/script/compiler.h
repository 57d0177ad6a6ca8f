/* compiler: LuaJIT's compiler in the states of scripts. A state compiles if scripts.compile is set
 * and the system allows the process to make code; else it interprets, with the same results. */
#pragma once

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

struct script_instance;

/* Whether the system lets this process write code and run it. It does not under systemd's
 * MemoryDenyWriteExecute=, and with some rules of SELinux. LuaJIT would end the process then. */
bool compiler_is_allowed(void);
/* What a state has compiled: loops and functions, and the branches that leave them. */
struct compiler_figures {
    int traces;
    size_t code_bytes;
};
/* Of an instance that no call uses; its owner's thread. */
struct compiler_figures compiler_measure(struct script_instance *instance);

/* Turns on the compiler of a state without one. May raise. */
void compiler_open(lua_State *L);
/* After luaopen_jit, which sets options and mode: sets those of this state again. May raise. */
void compiler_restore(lua_State *L);
