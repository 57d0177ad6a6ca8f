---@meta _

--- The globals of scripts and specs, beside `string`, `table` and `math`. What is missing or different
--- from Lua 5.1 is in `docs/SANDBOX.md`: the rest of Lua's base library, `string.dump`,
--- `math.random` and `math.randomseed` are missing. Reading another global is an error, which
--- names the nearest.

--- The globals; read-only.
---@type table<string, any>
_G = {}

--- `"Lua 5.1"`
---@type string
_VERSION = "Lua 5.1"

--- Raises the message where the value is false or nil; else returns all its arguments.
---@generic T
---@param v? T
---@param message? any default `"assertion failed!"`
---@param ... any
---@return T v
---@return any ...
function assert(v, message, ...) end

--- Raises an error.
---@param message any
---@param level? integer whose place is put in front: 1 (default) the caller of `error`, 2 its caller, 0 none
function error(message, level) end

--- The metatable, or what its `__metatable` says.
---@param object any
---@return any metatable
function getmetatable(object) end

--- Iterates over the items 1 to n of a list.
---@generic T: table, V
---@param t T
---@return fun(table: V[], i?: integer): integer, V iterator
---@return T list
---@return integer start
function ipairs(t) end

--- The next key and its value; nil behind the last.
---@generic K, V
---@param table table<K, V>
---@param index? K nil: from the start
---@return K? key
---@return V? value
function next(table, index) end

--- Iterates over all keys of a table. Of read-only tables it finds nothing.
---@generic T: table, K, V
---@param t T
---@return fun(table: table<K, V>, index?: K): K, V iterator
---@return T table
function pairs(t) end

--- Calls a function; an error comes back as false and its message. It does not catch a
--- timeout of the script.
---@param f function
---@param ... any its arguments
---@return boolean success
---@return any result
---@return any ...
function pcall(f, ...) end

--- Writes the values, as `tostring` makes them and with tabs between them, to the log: a line
--- `script printed` with the script and its line, at most ten in ten seconds. In `aggregator try`,
--- `tap`, `test`, `check` and the console a plain line on standard error.
---@param ... any at most 64 values and 2048 bytes are shown
function print(...) end

--- Whether two values are equal, without `__eq`.
---@param v1 any
---@param v2 any
---@return boolean equal
function rawequal(v1, v2) end

--- `table[index]`, without `__index`.
---@param table table
---@param index any
---@return any value
function rawget(table, index) end

--- `table[index] = value`, without `__newindex`; raises for read-only tables.
---@param table table
---@param index any
---@param value any
---@return table table
function rawset(table, index, value) end

--- A binding, or `lib.NAME` of `scripts/lib/NAME.lua`.
---@param name string
---@return unknown module
function require(name) end

--- The arguments from the index on, or with `"#"` their number.
---@param index integer|"#"
---@param ... any
---@return any ...
function select(index, ...) end

--- Sets the metatable of a table.
---@param table table
---@param metatable? table
---@return table table
function setmetatable(table, metatable) end

--- The number that a text says, or nil.
---@param e any
---@param base? integer default 10
---@return number? number
function tonumber(e, base) end

--- The value as text.
---@param v any
---@return string text
function tostring(v) end

--- The name of the value's type.
---@param v any
---@return "nil"|"number"|"string"|"boolean"|"table"|"function"|"userdata" name
function type(v) end

--- The items of a list as values.
---@generic T
---@param list T[]
---@param i? integer default 1
---@param j? integer default `#list`
---@return T ...
function unpack(list, i, j) end

--- As `pcall`, with a function that gets the error, after it has unwound.
---@param f function
---@param handler fun(message: any): any
---@param ... any arguments of `f`
---@return boolean success
---@return any result
---@return any ...
function xpcall(f, handler, ...) end
