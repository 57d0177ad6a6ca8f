/* programs_library: statements of generated programs that do what scripts of services do: they
 * build texts, sort and walk lists, call functions of several forms, catch errors, and read fields
 * of events. $n stands for a number, $t for a text, $c for a condition; ! before one that stores
 * under an outer local. */
#pragma once

#include "base/buffer.h"

/* After this a program has what the statements use. `events` are as a service's: fields are
 * missing, empty, or of several types. Metamethods return numbers. */
#define PROGRAMS_LIBRARY_BEGIN                                                                     \
    "local json = require('json')\n"                                                               \
    "local events = { { id = 'e1', status = 'FAILED', info = '{}', batch = '' }, { id = 'e2', "    \
    "status = 'OK', score = 0.5, batch = 'b' }, { id = 'e3', status = 'FAILED', info = 'x', "      \
    "score = 7, tags = { 'p', 'q' } } }\n"                                                         \
    "local function not_empty(x) return x ~= '' and x or nil end\n"                                \
    "local point = {} point.__index = function(w, k) return k == 'far' and rawget(w, 'x') or 3 "   \
    "end point.__add = function(x, y) return (type(x) == 'table' and x.x or x) + (type(y) == "     \
    "'table' and y.x or y) end point.__unm = function(w) return -w.x end point.__len = "           \
    "function(w) return 4 end point.__eq = function(x, y) return x.x == y.x end point.__lt = "     \
    "function(x, y) return x.x < y.x end point.__le = function(x, y) return x.x <= y.x end "       \
    "point.__call = function(w, x) return w.x * x end point.__mul = function() return 2, 3 end\n"  \
    "local function make(x) return setmetatable({ x = x }, point) end\n"

static const char *const programs_library[] = {
    /* texts */
    "s = ('%d:%s:%5.2f'):format(place($n), u, $n):sub(1, 24)",
    "u = (s .. $n .. '-' .. $n .. u):sub(1, 16)",
    "u = 'k' .. i .. '/' .. $n .. '/' .. s:sub(1, 6)",
    "!s = s:gsub('%w', function(x) a = a + 1 return x == 'a' and u or nil end):sub(1, 20)",
    "s = ($t):gsub('(.)(.)', '%2%1'):sub(1, 20)",
    "u = ($t):gsub('%a', { a = 'x', b = 7, c = false }):sub(1, 20)",
    "for w in ($t):gmatch('[^a]+') do u = w:sub(1, 9) end",
    "do local n = 0 for j = 1, #s do if s:sub(j, j) < 'm' then n = n + 1 else n = n - $n end end "
    "a = n end",
    "do local n = 0 for j = 1, #u do n = (n * 31 + u:byte(j)) % 65599 end b = n end",
    "u = (u:upper() .. s:lower() .. u:reverse()):rep(2):sub(3, 14)",
    "do local p, q = s:find(u, 1, true) c = p and p * 2 or -1 d = q or d end",
    "put(tonumber($t), tonumber(u, 16), tostring($n), #($t), ($t) < ($t))",
    "do local w = {} for j = 1, 12 do w[#w + 1] = $t w[#w + 1] = j end s = table.concat(w, "
    "','):sub(1, 20) end",
    "do local x = '' for j = 1, 20 do x = x .. (j % 3 == 0 and s:sub(1, 2) or j) end u = x:sub(-9, "
    "-2) end",
    "do local m, n = s:match('(%a*)(%d*)') u = (m or '') .. (n or 'n') end",
    /* tables */
    "do local w = { 1, 2, 3, 4, 5, 6, 7, 8 } w[i % 9 + 1] = $n w[1] = nil w[2] = nil w[3] = nil "
    "w[4] = nil w[5] = nil w['x' .. i] = 1 b = w[8] or $n end",
    "do local w = { 1, 2, 'c', 4, x = 1 } w[i % 5 + 1] = 'z' w.x = $c and 2 or nil w.y = $n put("
    "w[3], w.x, w[1]) end",
    "do local w = {} for j = 1, 12 do w[j] = j * $n end for j = 12, 1, -1 do if w[j] > $n then "
    "w[j] = nil end end put(w[1], w[6], w[12]) end",
    "table.sort(list, function(x, y) return x > y end)",
    "do local w = { { x = $n }, { x = $n }, { x = i } } table.sort(w, function(x, y) return x.x < "
    "y.x end) a = w[1].x end",
    "t, v = { x = a, y = b, [i] = c, k1 = 1 }, { y = { z = d } }",
    "do local w = {} for k, x in pairs(t) do if type(k) == 'string' then w[k] = x end end t = w "
    "end",
    "do local n = 0 for k, x in pairs({ a = 1, b = $n, $n, $n }) do n = n + (type(k) == 'number' "
    "and x or 1) end a = n end",
    "for j, x in ipairs(list) do if x == $n then break end b = b + j end",
    "list = { $n, $n, unpack(list, 1, 5) }",
    "do local w = { n = 0, add = function(self, x) self.n = self.n + x return self end } a = "
    "w:add($n):add($n).n end",
    "do local w, k = {}, {} for j = 1, 60 do local x = j % 5 == 0 and 's' .. j % 3 or j % 11 w[x] "
    "= (w[x] or 0) + j k[#k + 1] = x end put(w.s1, w[7], #k) end",
    "do local w = { {}, {}, {} } for j = 1, 30 do local x = w[j % 3 + 1] x[#x + 1] = j x.last = "
    "$n end put(#w[1], w[2].last, w[3][4]) end",
    "do local w = {} for j = 1, 9 do w = { next = w, x = j } end local n = 0 while w.next do n = n "
    "+ w.x w = w.next end b = n end",
    "do local w = {} for j = 1, 40 do w[j] = { id = j, x = j % 4 } end local by = {} for _, x in "
    "ipairs(w) do local l = by[x.x] or {} by[x.x] = l l[#l + 1] = x.id end put(#by[0], by[3][2]) "
    "end",
    /* functions */
    "do local f = function(...) local x, y = ... return (y or 0) + (x or 0), select('#', ...), ... "
    "end a, b = f($n, $n) put(f(1)) put((f($n, nil, $n))) end",
    "do local f = function(n, ...) if n > 0 then return n, ... end return ... end put(f($n, $n, "
    "i)) end",
    "do local f f = function(n, x) if n <= 0 then return x end return f(n - 1, x + $n) end a = f(i "
    "% 40, 0) end",
    "do local f f = function(n) if n <= 0 then return $n end return f(n - 1) + 1 end b = f(i % 60) "
    "end",
    "do local f, g f = function(n) return n > 0 and g(n - 1) or $n end g = function(n) return n > "
    "1 and f(n - 2) or i end a = f(i % 30) end",
    "!do local fs = {} for j = 1, 4 do local x = j * $n fs[j] = function(y) x = x + y return x end "
    "end a = fs[1](1) + fs[4]($n) + fs[1](2) end",
    "!do local n = $n local get, set = function() return n end, function(x) n = x end for j = 1, 5 "
    "do set(get() + j) end b = n end",
    "!do local n = 0 local f = function() n = n + 1 return n end for j = 1, 70 do local x = f() if "
    "x % 9 == 0 then n = n + $n % 3 end end a = n end",
    "do local f = function(...) local w = { ... } return #w, w[1], (...) end put(f($n, $n, $n)) "
    "end",
    "do local f = function(...) local n = 0 for j = 1, select('#', ...) do n = n + (select(j, "
    "...)) end return n end a = f($n, $n, i, 2) end",
    "do local f = function(x, y) return y, x end a, b = f(f($n, $n)) end",
    "do local ok, e = pcall(function(x, ...) if x > $n then error({ x }) end return x, ... end, "
    "$n, $n) put(ok, type(e)) end",
    "do local ok, e = pcall(function(...) local x, y = ... return t[x] + y end, $n, $n) put(ok, e) "
    "end",
    "put(xpcall(function() return $n + t.x end, function(m) return 'caught ' .. tostring(m) end))",
    "put(select(i % 4 + 1, $n, $n, $n, $n))",
    "put(select(-1, $n, $n), pcall(error, 'e' .. i, 0))",
    "put(pcall(function() return $n < $t end))",
    "put(pcall(function() return (t.none).x end))",
    "put(pcall(function() local w = $c and t return w.x or w.none.x end))",
    /* numbers */
    "a = math.floor($n / 3) * 3 + $n % 3",
    "do local n = 0 for j = 2147483640, 2147483650 do n = n + j % 7 end a = n end",
    "do local n = 0 for j = 1, 3, 0.25 do n = n + j * $n end b = n end",
    "do local x, n = $n, 0 while x == x and x > 1 and n < 50 do x = x / 2 n = n + 1 end c = n end",
    "for j = 1, 100 do d = d + j * 0.5 if d > 1e6 then d = -d / 3 break end end",
    "put(math.fmod(7, 3 + i % 3), math.huge > $n, -($n) == 0, 1 / (0 * a))",
    "put($n == $n, $n < $n, $n <= $n, nil == false, 0 / 0 ~= 0 / 0)",
    "a, b, c = b, c, a",
    "if a ~= a then a = i end if b ~= b or b > 1e9 then b = 1 end c = c % 1000",
    "do local n, m = 0, 0 for j = 1, 150 do if j % 7 == i % 7 then n = n + j elseif j % 3 == 0 "
    "then m = m - n else n = n - 1 end end a, b = n, m end",
    "do local x, y = 1, 1 for j = 1, 90 do x, y = y, (x + y) % 1e9 if y % 11 == 0 then x = x + 0.5 "
    "end end c = x end",
    "do local n = 0 for j = 1, 40 do for k = j, 40, 7 do if k == j + 14 then break end n = n + k * "
    "j end end a = n end",
    "do local n = 10 while true do n = n - 1 if n % 4 == 1 then n = n - 1 elseif n < 0 then break "
    "end end b = n end",
    "put(math.modf(place($n) / 4), math.abs(-($n)), math.ceil(d), math.floor(-d))",
    /* values of several types in one variable */
    "do local x = i % 5 == 0 and s or $n if type(x) == 'string' then u = x:sub(1, 5) else a = x "
    "end end",
    "do local x = i % 3 == 0 and $t or i % 3 == 1 and $c put(x, x == nil, not x) end",
    "do local x if $c then x = $n elseif $c then x = $t end put(x, type(x)) end",
    "do local w = { $n, $t, $c, nil, {} } for j = 1, 5 do put(type(w[j]), w[j] == nil) end end",
    /* metatables */
    "do local w = make($n) put(w < make($n), -w, #w, w == make(i), w + $n, w.far, w.q, w(2)) end",
    "do local w = make(i) for j = 1, 30 do w.x = w.x + (w + j) % 7 end a = w.x end",
    "do local w = setmetatable({ x = $n }, { __index = { y = $n } }) a = w.x + w.y + (w.z or 0) "
    "end",
    "do local w = setmetatable({}, { __index = function(_, k) return k .. i end }) u = "
    "(w.abc):sub(1, 8) end",
    "!do local n = 0 local w = setmetatable({}, { __newindex = function(x, k, y) n = n + 1 "
    "rawset(x, "
    "k, y) end }) for j = 1, 20 do w[j % 4] = j if j % 6 == 0 then w[j % 4] = nil end end a = n "
    "end",
    "do local w = setmetatable({}, { __tostring = function() return 'w' .. i end }) put(w) end",
    /* JSON */
    "do local w = json.decode('{\"a\":[1,2.5,null,true],\"b\":{\"c\":\"x\"}}') for j = 1, 4 do "
    "put(w.a[j] == json.null, type(w.a[j])) end w.a[2] = $n put(w.a[2], w.b.c) end",
    "put(pcall(json.encode, { a = a, s = s, l = { i, 2 } }))",
    /* events */
    "do local e = events[i % 3 + 1] local batch = not_empty(e.batch) local w if e.status == "
    "'FAILED' and e.info and e.info ~= '{}' then w = { id = e.id, batch = batch } end put(batch, w "
    "and w.id, e.score, (e.score or $n) * 2) end",
    "do local n = 0 for j = 1, 60 do local e = events[j % 3 + 1] if e.status == 'OK' then n = n + "
    "e.score elseif e.tags then n = n + #e.tags else n = n - 1 end end d = n end",
    "for j = 1, 12 do local e = events[j % 3 + 1] local k = e.id .. (e.batch or '-') t[k] = (t[k] "
    "or 0) + (e.score or 1) end",
};
