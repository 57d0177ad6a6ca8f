/* compiler: LuaJIT's compiler in the states of scripts. A state compiles if scripts.compile is set
 * and the system allows the process to make code; else it interprets, with the same results. */
#pragma once

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

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

/* Called after each call of an instance that began at `now_us`: counts its figures, at most every
 * ten seconds. Its owner's thread. */
void compiler_note(struct script_instance *instance, int64_t now_us);
/* The instance closes: its figures no longer count. */
void compiler_forget(struct script_instance *instance);
/* Appends an object with the figures of the process: the states that compile, their traces, the
 * bytes of their code, and what was given up (survey.h). Any thread. */
void compiler_report(struct buffer *json);

/* Turns on the compiler of a state without one. May raise. */
void compiler_open(lua_State *L);
/* After compiler_open, outside of any call: keeps the state's Lua stack so large that compiled code
 * hardly ever has to enlarge it, where LuaJIT has faults. False: no memory; the error is at the
 * top. */
bool compiler_keep_stack(lua_State *L);
/* After luaopen_jit, which sets options and mode: sets those of this state again. May raise. */
void compiler_restore(lua_State *L);
