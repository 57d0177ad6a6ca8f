#include "survey.h"

#include <lauxlib.h>
#include <luajit.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/json_put.h"
#include "base/xalloc.h"
#include "script_private.h"

#define FUNCTIONS "aggregator.survey"   /* registry key of the two functions of the text below */
#define FILES "aggregator.survey_files" /* registry key of the list of files' functions */
#define WIDEST_SLOTS 200                /* LuaJIT's recorder has 250 */
#define PLACE_BYTES 160
#define MAX_PLACES_OF_STATE 8
#define MAX_PLACES 24

/* Arguments: jit.util's funcinfo, funck and funcbc; survey_leave_out; WIDEST_SLOTS. The numbers of
 * instructions differ between versions: they are read from samples. An instruction that was given
 * up has the number of the plain one and 1 (lj_bc.h: FORL, IFORL, JFORL, ITERL …, LOOP …; FUNCF,
 * IFUNCF, JFUNCF, FUNCV …). */
static const char survey_text[] =
    "local funcinfo, funck, funcbc, leave_out, widest = ...\n"
    "local kept\n"
    "local function op(f, pc) return funcbc(f, pc) % 256 end\n"
    "local function loops() for i = 1, 1 do end end\n"
    "local function store(v) kept = v end\n"
    "local function store_text() kept = '' end\n"
    "local stores = { [op(store, 1)] = true, [op(store_text, 1)] = true }\n"
    "local header, loop = op(loops, 0), op(loops, 5)\n"
    "local given_up = op(loops, 4) == loop - 2 and { [header + 1] = true, [header + 4] = true,\n"
    "  [loop + 1] = true, [loop + 4] = true, [loop + 7] = true } or {}\n"
    "local function visit(f, take)\n"
    "  local info = funcinfo(f)\n"
    "  take(f, info)\n"
    "  for n = -1, info.children and -info.gcconsts or 0, -1 do\n"
    "    local k = funck(f, n)\n"
    "    if type(k) == 'proto' then visit(k, take) end\n"
    "  end\n"
    "end\n"
    "return function(file)\n"
    "  visit(file, function(f, info)\n"
    "    local doubtful = info.stackslots > widest\n"
    "    for pc = 1, info.bytecodes - 1 do\n"
    "      doubtful = doubtful or stores[op(f, pc)]\n"
    "    end\n"
    "    if doubtful then leave_out(f) end\n"
    "  end)\n"
    "end, function(files)\n"
    "  local places, seen = {}, {}\n"
    "  local function take(f, info)\n"
    "    for pc = 0, info.bytecodes - 1 do\n"
    "      if given_up[op(f, pc)] then\n"
    "        local line = pc == 0 and info.linedefined or funcinfo(f, pc).currentline\n"
    "        local place = info.source:sub(2) .. ':' .. line\n"
    "        if not seen[place] then\n"
    "          places[#places + 1], seen[place] = place, true\n"
    "        end\n"
    "      end\n"
    "    end\n"
    "  end\n"
    "  for i = 1, #files do visit(files[i], take) end\n"
    "  return places\n"
    "end";

/* Of a function, or of what funck returns in its place. */
static int survey_leave_out(lua_State *L) {
    luaJIT_setmode(L, 1, LUAJIT_MODE_FUNC | LUAJIT_MODE_OFF);
    return 0;
}

void survey_open(lua_State *L) {
    lua_getfield(L, LUA_REGISTRYINDEX, "_PRELOAD");
    lua_getfield(L, -1, "jit.util");
    lua_call(L, 0, 1);
    int util = lua_gettop(L);
    if (luaL_loadbuffer(L, survey_text, sizeof survey_text - 1, "=" LUA_HOST_CHUNK)) {
        lua_error(L);
    }
    luaJIT_setmode(L, -1, LUAJIT_MODE_ALLFUNC | LUAJIT_MODE_OFF); /* it should not show up itself */
    lua_getfield(L, util, "funcinfo");
    lua_getfield(L, util, "funck");
    lua_getfield(L, util, "funcbc");
    lua_pushcfunction(L, survey_leave_out);
    lua_pushinteger(L, WIDEST_SLOTS);
    lua_call(L, 5, 2);
    lua_createtable(L, 2, 0);
    lua_insert(L, -3);
    lua_rawseti(L, -3, 2);
    lua_rawseti(L, -2, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, FUNCTIONS);
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, FILES);
    lua_pop(L, 2);
}

static void survey_push_function(lua_State *L, int which) {
    lua_getfield(L, LUA_REGISTRYINDEX, FUNCTIONS);
    lua_rawgeti(L, -1, which);
    lua_remove(L, -2);
}

void survey_take(lua_State *L, bool is_file) {
    survey_push_function(L, 1);
    lua_pushvalue(L, -2);
    lua_call(L, 1, 0);
    if (is_file) {
        lua_getfield(L, LUA_REGISTRYINDEX, FILES);
        lua_pushvalue(L, -2);
        lua_rawseti(L, -2, (int)lua_objlen(L, -2) + 1);
        lua_pop(L, 1);
    }
}

/* ---- what was given up ---------------------------------------------------------------------- */

/* Of a state. */
struct survey_places {
    size_t count;
    char texts[MAX_PLACES_OF_STATE][PLACE_BYTES];
};

static struct {
    char text[PLACE_BYTES];
    int states; /* 0: free */
} survey_places[MAX_PLACES];
static pthread_mutex_t survey_lock = PTHREAD_MUTEX_INITIALIZER;

/* Under the lock. A place that finds no room is left out. */
static void survey_count(const char *text, int change) {
    int found = -1;
    for (int i = 0; i < MAX_PLACES; i++) {
        bool used = survey_places[i].states > 0;
        if (used && strcmp(survey_places[i].text, text) == 0) {
            survey_places[i].states += change;
            return;
        }
        found = !used && found < 0 ? i : found;
    }
    if (found >= 0 && change > 0) {
        snprintf(survey_places[found].text, PLACE_BYTES, "%s", text);
        survey_places[found].states = change;
    }
}

static void survey_count_all(const struct survey_places *places, int change) {
    pthread_mutex_lock(&survey_lock);
    for (size_t i = 0; places && i < places->count; i++) {
        survey_count(places->texts[i], change);
    }
    pthread_mutex_unlock(&survey_lock);
}

static int survey_look(lua_State *L) {
    struct survey_places *places = lua_touserdata(L, 1);
    survey_push_function(L, 2);
    lua_getfield(L, LUA_REGISTRYINDEX, FILES);
    lua_call(L, 1, 1);
    size_t found = lua_objlen(L, -1);
    for (; places->count < found && places->count < MAX_PLACES_OF_STATE; places->count++) {
        lua_rawgeti(L, -1, (int)places->count + 1);
        snprintf(places->texts[places->count], PLACE_BYTES, "%s", lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    return 0;
}

void survey_note(struct script_instance *instance) {
    lua_State *L = instance->host.L;
    struct survey_places *places = xcalloc(1, sizeof *places);
    if (lua_cpcall(L, survey_look, places) != 0) {
        lua_pop(L, 1); /* out of memory */
        free(places);
        return;
    }
    survey_forget(instance);
    survey_count_all(places, 1);
    instance->given_up = places;
}

void survey_forget(struct script_instance *instance) {
    survey_count_all(instance->given_up, -1);
    free(instance->given_up);
    instance->given_up = NULL;
}

void survey_report(struct buffer *json) {
    buffer_append_text(json, "[");
    pthread_mutex_lock(&survey_lock);
    for (int i = 0; i < MAX_PLACES; i++) {
        if (survey_places[i].states > 0) {
            json_open(json, NULL, "{");
            json_put_text(json, "place", slice_of(survey_places[i].text));
            json_put_int(json, "states", survey_places[i].states);
            buffer_append_text(json, "}");
        }
    }
    pthread_mutex_unlock(&survey_lock);
    buffer_append_text(json, "]");
}
