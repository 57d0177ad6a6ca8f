/* programs: Lua programs that a generator draws. Each has hot loops over numbers, texts, tables,
 * functions and errors, ends soon, and returns a text of all that it computed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buffer.h"
#include "programs_library.h"

#define PROGRAMS_MOST_BYTES 6000

struct programs {
    struct buffer *out;
    const uint8_t *data; /* drawn from first; NULL: from the seed alone */
    size_t len;
    uint32_t seed;
    int loops, functions; /* that surround the place of writing */
    int labels;
    bool pure; /* without what ends a trace, so that traces are longer */
};

static inline uint32_t programs_draw(struct programs *p, uint32_t below) {
    if (p->data) {
        uint32_t drawn = p->len > 0 ? *p->data : 0;
        p->data += p->len > 0;
        p->len -= p->len > 0;
        return drawn % below;
    }
    p->seed = p->seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)p->seed * below) >> 32);
}

static inline void programs_put(struct programs *p, const char *text) {
    buffer_append_text(p->out, text);
}

/* Whether LuaJIT's compiler stops at a text: it calls a C function, or a function that stores under
 * an outer local. */
static inline bool programs_ends_trace(const char *text) {
    static const char *const names[] = {
        "!",        "up(",          "box(",         "keep(",        "watched", "kept[",  "format",
        "tostring", "gsub",         "gmatch",       ":find",        ":match",  ":rep",   "sort",
        "pcall",    "error",        "json",         "setmetatable", "make(",   "unpack", "pairs(t)",
        "pairs({",  "table.insert", "table.remove", "modf",         "fmod"};
    bool ends = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ends = ends || strstr(text, names[i]);
    }
    return ends;
}

/* The number of one of the texts; in a pure program of one that ends no trace. */
static inline uint32_t programs_pick(struct programs *p, const char *const *texts, size_t count) {
    uint32_t at = programs_draw(p, (uint32_t)count);
    while (p->pure && programs_ends_trace(texts[at])) {
        at = (at + 1) % (uint32_t)count;
    }
    return at;
}

#define PROGRAMS_PICK(p, list)                                                                     \
    programs_put((p), (list)[programs_pick((p), (list), sizeof(list) / sizeof *(list))])

static inline void programs_number(struct programs *p, int depth);

/* A text of at most some hundred bytes. */
static inline void programs_text(struct programs *p, int depth) {
    static const char *const plain[] = {"s", "u", "'x'", "'12'", "'0x1f'", "' 7 '", "''", "'abc'"};
    uint32_t form = depth > 0 ? programs_draw(p, 8) : 0;
    switch (p->pure && (form == 2 || form == 4) ? 1 : form) {
    case 1:
        programs_put(p, "(");
        programs_text(p, depth - 1);
        programs_put(p, " .. ");
        programs_text(p, depth - 1);
        programs_put(p, "):sub(1, 20)");
        break;
    case 2:
        programs_put(p, "tostring(");
        programs_number(p, depth - 1);
        programs_put(p, ")");
        break;
    case 3: /* LuaJIT's compiled string.sub differs for positions beyond 31 bits */
        programs_put(p, "s:sub(place(");
        programs_number(p, depth - 1);
        programs_put(p, "), place(");
        programs_number(p, depth - 1);
        programs_put(p, "))");
        break;
    case 4:
        programs_put(p, "string.format('%.3g|%s', ");
        programs_number(p, depth - 1);
        programs_put(p, ", u):sub(1, 30)");
        break;
    case 5:
        programs_put(p, "string.char((");
        programs_number(p, depth - 1);
        programs_put(p, ") % 2 == 0 and 65 or 66):lower()");
        break;
    default:
        PROGRAMS_PICK(p, plain);
    }
}

static inline void programs_condition(struct programs *p, int depth) {
    static const char *const compared[] = {" < ", " <= ", " > ", " >= ", " == ", " ~= "};
    bool texts = programs_draw(p, 4) == 0;
    programs_put(p, programs_draw(p, 5) == 0 ? "not (" : "(");
    texts ? programs_text(p, depth - 1) : programs_number(p, depth - 1);
    PROGRAMS_PICK(p, compared);
    texts ? programs_text(p, depth - 1) : programs_number(p, depth - 1);
    programs_put(p, ")");
}

static inline void programs_call(struct programs *p, int depth) {
    static const char *const called[] = {"math.floor(",  "math.ceil(", "math.abs(", "math.sqrt(",
                                         "one(",         "-(",         "last(1, ",  "m(",
                                         "up(",          "count(1, ",  "first(",    "math.max(1, ",
                                         "math.min(3, ", "deep(",      "keep(",     "box(",
                                         "pick(",        "fib(",       "#tail("};
    PROGRAMS_PICK(p, called);
    programs_number(p, depth - 1);
    programs_put(p, ")");
}

/* "x op y" */
static inline void programs_operation(struct programs *p, int depth) {
    static const char *const operators[] = {" + ", " - ", " * ", " / ", " % ", " + ", " - ", " ^ "};
    programs_put(p, "(");
    programs_number(p, depth - 1);
    uint32_t which = programs_draw(p, sizeof operators / sizeof *operators);
    bool is_power = which == 7; /* x ^ 2: known */
    programs_put(p, operators[which]);
    programs_put(p, is_power ? "odd(" : "");
    programs_number(p, depth - 1);
    programs_put(p, is_power ? "))" : ")");
}

static inline void programs_number(struct programs *p, int depth) {
    static const char *const plain[] = {"0",
                                        "1",
                                        "-1",
                                        "2",
                                        "0.5",
                                        "-0",
                                        "3",
                                        "7",
                                        "255",
                                        "i",
                                        "a",
                                        "b",
                                        "c",
                                        "d",
                                        "i",
                                        "2147483647",
                                        "-2147483648",
                                        "1e15",
                                        "2^53",
                                        "1e308",
                                        "(1/0)",
                                        "(0/0)",
                                        "#s",
                                        "#list",
                                        "#u",
                                        "(t.x or 0)",
                                        "(t[i % 5] or 0)",
                                        "(t[c] or 1)",
                                        "(list[i % 7 + 1] or 2)",
                                        "({ 1, 2, x = i }).x",
                                        "({ a, b, c })[i % 3 + 1]",
                                        "(s:byte(i % 4) or 9)",
                                        "(tonumber(s) or 4)",
                                        "(v.y.z or 0)",
                                        "(t[-0] or 5)",
                                        "(t['k' .. i % 3] or 6)",
                                        "(watched[i % 4] or 0)",
                                        "(kept[i % 3] and kept[i % 3](1) or 8)",
                                        "#{ one(a), count(b, c) }",
                                        "(unpack({ 4, a }))",
                                        "({ x = a, y = { z = b } }).y.z",
                                        "(rawget(t, c) or 1)"};
    switch (depth > 0 ? programs_draw(p, 6) : 0) {
    case 1:
    case 2:
        programs_operation(p, depth);
        break;
    case 3:
        programs_call(p, depth);
        break;
    case 4:
        programs_put(p, "(");
        programs_condition(p, depth);
        programs_put(p, " and ");
        programs_number(p, depth - 1);
        programs_put(p, " or ");
        programs_number(p, depth - 1);
        programs_put(p, ")");
        break;
    default:
        PROGRAMS_PICK(p, plain);
    }
}

static inline void programs_block(struct programs *p, int depth);

static inline void programs_assign(struct programs *p) {
    static const char *const targets[] = {
        "a = ",
        "b = ",
        "c = ",
        "d = ",
        "t.x = ",
        "t[i % 5] = ",
        "t[c] = ",
        "v.y.z = ",
        "t = { 1, x = 2, [3] = 4 } t.x = ",
        "list[#list % 9 + 1] = ",
        "v = { y = { z = 1 } } v.y.z = ",
        "setmetatable(v, nil) a = ",
        "local a = ",
        "t.y = nil t.z = ",
        "t = {} t[i] = ",
        "t[-d] = ",
        "t[c] = nil t[c] = ",
        "t['k' .. i % 3] = ",
        "watched[i % 4] = ",
        "watched[i % 4] = nil watched[i % 4] = ",
        "t = { [0] = 1, nil, 2, k1 = nil } t.k1 = ",
        "c, t[i % 4], b = b, c, ",
        "local w = { x = a, y = b } if i % 9 == 0 then t = w end w.x = ",
        "local w = { { x = i } } w[1].y = w if i % 7 == 1 then v = { y = w[1] } end w[1].z = "};
    PROGRAMS_PICK(p, targets);
    programs_number(p, 3);
}

/* A loop of a few turns. */
static inline void programs_loop(struct programs *p, int depth) {
    static const char *const begins[] = {"for i = 1, 9 do ",
                                         "for j = i % 7, -1, -1 do ",
                                         "for i = 0.5, 4, 0.75 do ",
                                         "for _, w in ipairs(list) do a = w ",
                                         "for k, w in pairs({ 3, 1, x = 2 }) do b = b + w ",
                                         "local n = 0 while n < 6 do n = n + 1 ",
                                         "local n = 0 repeat n = n + 1 ",
                                         "for i = 1, #s % 9 do " /* not NaN: known */,
                                         "for k in one_two do c = k "};
    uint32_t which = programs_pick(p, begins, sizeof begins / sizeof *begins);
    int label = p->labels++;
    bool continues = which != 6 && programs_draw(p, 3) == 0;
    p->loops++;
    programs_put(p, "do ");
    programs_put(p, begins[which]);
    if (continues) {
        buffer_append_format(p->out, "if i %% 3 == 1 then goto l%d end ", label);
    }
    programs_block(p, depth - 1);
    if (continues) {
        buffer_append_format(p->out, "::l%d:: ", label);
    }
    programs_put(p, which == 6 ? "until n > 5 end" : "end end");
    p->loops--;
}

/* One statement of the library, with expressions drawn for its places. */
static inline void programs_library_statement(struct programs *p) {
    const char *text = programs_library[programs_pick(
        p, programs_library, sizeof programs_library / sizeof *programs_library)];
    for (text += *text == '!'; *text; text++) {
        if (*text != '$') {
            buffer_append(p->out, text, 1);
            continue;
        }
        text++;
        *text == 'n'   ? programs_number(p, 2)
        : *text == 't' ? programs_text(p, 2)
                       : programs_condition(p, 2);
    }
}

static inline void programs_statement(struct programs *p, int depth) {
    uint32_t form = depth > 0 && p->out->len < PROGRAMS_MOST_BYTES ? programs_draw(p, 20) : 0;
    switch (p->pure && (form == 4 || form == 5 || form == 6 || form == 8) ? 1 : form) {
    case 1:
        programs_put(p, "if ");
        programs_condition(p, 2);
        programs_put(p, " then ");
        programs_block(p, depth - 1);
        programs_put(p, "else ");
        programs_block(p, depth - 1);
        programs_put(p, "end");
        break;
    case 2:
        if (p->loops < 2) {
            programs_loop(p, depth);
        }
        break;
    case 3:
        programs_put(p, programs_draw(p, 2) ? "s = " : "u = ");
        programs_text(p, 2);
        break;
    case 4:
        programs_put(p, "do local ok, e = pcall(function() ");
        programs_block(p, depth - 1);
        programs_put(p, "if ");
        programs_condition(p, 1);
        programs_put(p, " then error(a) end end) put(ok, e) end");
        break;
    case 5:
        programs_put(p, "do local w = function(x, ...) a = x return ... end b = w(");
        programs_number(p, 2);
        programs_put(p, ", ");
        programs_number(p, 1);
        programs_put(p, ", 1) end");
        break;
    case 6:
        programs_put(p, "if #list < 20 then table.insert(list, ");
        programs_number(p, 2);
        programs_put(p, ") else table.remove(list, i % 5 + 1) end");
        break;
    case 7:
        programs_put(p, "put(");
        programs_number(p, 2);
        programs_put(p, ", s, table.concat({ u, s }, ','), ");
        programs_number(p, 1);
        programs_put(p, ")");
        break;
    case 8:
        programs_put(p,
                     "do local z = i kept[i % 3] = function(x) z = z + x a = z return z end z = ");
        programs_number(p, 2);
        programs_put(p, " b = kept[i % 3](1) end");
        break;
    case 9:
    case 10:
    case 11:
    case 12:
    case 13:
    case 14:
        programs_library_statement(p);
        break;
    default:
        programs_assign(p);
    }
    programs_put(p, " ");
}

static inline void programs_block(struct programs *p, int depth) {
    for (uint32_t left = 1 + programs_draw(p, 4); left > 0; left--) {
        programs_statement(p, depth);
    }
}

/* Appends one program. */
static inline void programs_write(struct programs *p) {
    p->pure = programs_draw(p, 2) == 1;
    programs_put(
        p,
        "local a, b, c, d, i, s, u = 1, 2, 3, 0.5, 0, 'abc', '12'\n"
        "local t, v, list, out, calls = {}, { y = { z = 1 } }, { 3, 1, 2 }, {}, 0\n"
        "local function show(x) return type(x) == 'number' and ('%.17g'):format(x) or "
        "tostring(x) end\n"
        "local function put(...) for k = 1, select('#', ...) do if #out < 4000 then local x = "
        "(select(k, ...)) out[#out + 1] = x == nil and 'nil' or x end end end\n"
        "local m = setmetatable({}, { __call = function(_, x) return x + 1 end, __index = "
        "function(_, k) return k end })\n"
        "local function place(x) return x > -99 and x < 99 and math.floor(x) or 2 end\n"
        "local function one(x) return x end local function first(...) return (...) end\n"
        "local function count(...) return select('#', ...) end\n"
        "local function last(...) return (select(select('#', ...), ...)) end\n"
        "local function odd(x) return x == 2 and 3 or x end\n"
        "local function up(x) calls = calls + 1 return x + calls % 3 end\n"
        "local function deep(x, n) n = n or 4 if n > 0 then return deep(x, n - 1) + 1 end return "
        "x end\n"
        "local kept = {}\n"
        "local function keep(x) local z = x kept[1] = function(y) z = z + y return z end return "
        "kept[1](2) end\n"
        "local function box(x) local w = { x = x } if calls % 5 == 1 then v = { y = w } end w.z = "
        "x "
        "return w.z end\n"
        "local function pick(...) return (select('2', 1, ...)) or 0 end\n"
        "local function fib(x) if x ~= x or x < 2 or x > 6 then return x end return fib(x - 1) + "
        "fib(x - 2) end\n"
        "local function tail(...) return { 1, ... } end\n"
        "local watched = setmetatable({}, { __newindex = function(w, k, x) calls = calls + 1 "
        "rawset(w, k, x) end })\n" PROGRAMS_LIBRARY_BEGIN
        "local function one_two(_, k) if not k then return 1 end if k < 2 then return k + 1 end "
        "end\n"
        "for turn = 1, ");
    buffer_append_format(p->out, "%u do i = turn ", 20 + programs_draw(p, 100));
    programs_block(p, 4);
    programs_put(p, "\nend put(a, b, c, d, s, u, t.x, v.y and v.y.z, #list) for k = 1, #out do "
                    "out[k] = show(out[k]) end return table.concat(out, ' ')");
}
