--- The columns that a query returns, from its text alone.
---
--- Returns columns_of(sql, declared): a list of each named column and its LuaCATS type (of its
--- cast, or of the view's column, else "any"); nil if the text does not name the columns (a `*`, or
--- a statement without rows). The query was parsed before: each quote is closed.

local function set_of(...)
  local set = {}
  for _, word in ipairs({ ... }) do
    set[word] = true
  end
  return set
end

-- Tokens ----------------------------------------------------------------------------------------

local WORD = "[%w_\128-\255]"

--- Where a comment ends; they may be nested.
local function end_of_comment(sql, at)
  local depth, stop = 0, at
  repeat
    local opens, closes = sql:find("/*", stop, true), sql:find("*/", stop, true)
    if not closes then
      return #sql
    end
    local deeper = opens and opens < closes
    depth = depth + (deeper and 1 or -1)
    stop = (deeper and opens or closes) + 2
  until depth == 0
  return stop - 1
end

--- Where a quoted text ends; E'…' has escapes.
local function end_of_quote(sql, at)
  local quote = sql:sub(at, at)
  local escapes = at > 1 and sql:find("^[eE]", at - 1)
    and not (at > 2 and sql:find("^" .. WORD, at - 2))
  local stop = at + 1
  while stop < #sql and sql:sub(stop, stop) ~= quote do
    stop = stop + (escapes and sql:sub(stop, stop) == "\\" and 2 or 1)
  end
  return stop
end

--- Where the quote, comment, cast or single byte at `at` ends.
local function end_of_plain(sql, at)
  if sql:find("^::", at) then
    return at + 1
  elseif sql:find("^%-%-", at) then
    return (sql:find("\n", at, true) or #sql + 1) - 1
  elseif sql:find("^/%*", at) then
    return end_of_comment(sql, at)
  elseif sql:find("^['\"]", at) then
    return end_of_quote(sql, at)
  end
  local in_word = at > 1 and sql:find("^" .. WORD, at - 1)
  local tag = not in_word and sql:match("^%$" .. WORD .. "*%$", at)
  return tag and select(2, sql:find(tag, at + #tag, true)) or at
end

local function end_of_bracket(sql, at)
  local depth, stop = 0, at
  repeat
    local c = sql:sub(stop, stop)
    depth = depth + ((c == "(" or c == "[") and 1 or (c == ")" or c == "]") and -1 or 0)
    stop = end_of_plain(sql, stop) + 1
  until depth == 0 or stop > #sql
  return stop - 1
end

--- Each token's `kind` is its first byte, "w" for a word, "p" for :name; ":" is a cast, and "(" and
--- "[" extend to their closing bracket.
local function read_tokens(sql)
  local tokens, at = {}, sql:find("%S")
  while at do
    local first, word = sql:sub(at, at), sql:match("^:?" .. WORD .. "+", at)
    local stop = word and at + #word - 1
      or (first == "(" or first == "[") and end_of_bracket(sql, at)
      or end_of_plain(sql, at)
    if word then
      tokens[#tokens + 1] = { kind = first == ":" and "p" or "w", text = word }
    elseif first == '"' then
      tokens[#tokens + 1] = { kind = "w", text = sql:sub(at + 1, stop - 1) }
    elseif not sql:find("^%-%-", at) and not sql:find("^/%*", at) then
      tokens[#tokens + 1] = { kind = first }
    end
    at = sql:find("%S", stop + 1)
  end
  return tokens
end

--- The word of the token, in lower case; nil: it is no word.
local function word_of(token)
  return token and token.kind == "w" and token.text:lower() or nil
end

-- Types -----------------------------------------------------------------------------------------

local integers = set_of("int2", "int4", "int8", "int", "bigint", "integer", "smallint")
local numbers = set_of("double", "real", "float4", "float8", "float")
local texts = set_of("text", "varchar", "uuid", "numeric")

--- The Lua type of the SQL type in the tokens from `at` to before `stop`. Lists of other types are
--- text.
local function cast_type(tokens, at, stop)
  local name = word_of(tokens[at])
  local scalar = integers[name] and "integer" or numbers[name] and "number"
    or (name == "bool" or name == "boolean") and "boolean" or "string"
  if tokens[stop - 1].kind ~= "[" then
    return scalar
  end
  return (scalar ~= "string" or texts[name]) and ("(%s|json.Null)[]"):format(scalar) or "any"
end

--- The view's table that the statement calls by this name.
local function find_table(tokens, name, declared)
  for i, token in ipairs(tokens) do
    for _, of in ipairs(declared.view) do
      if word_of(token) == of.name:lower() then
        local alias = tokens[word_of(tokens[i + 1]) == "as" and i + 2 or i + 1]
        if name == of.name or alias and alias.text == name then
          return of
        end
      end
    end
  end
end

local function column_type(tokens, table_name, column, declared)
  local of = find_table(tokens, table_name, declared)
  local lists = { of and of.key }
  for _, group in ipairs(of and of.groups or {}) do
    lists[#lists + 1] = group.columns
  end
  for _, columns in ipairs(lists) do
    for _, known in ipairs(columns) do
      if known.name == column then
        return declared.lua_types[known.type]
      end
    end
  end
  return "any"
end

-- Items -----------------------------------------------------------------------------------------

local function kind_at(tokens, at, stop)
  return at < stop and tokens[at].kind or nil
end

--- Behind a name with its qualifiers, a call or a bracket, which casts may follow.
local function end_of_operand(tokens, at, stop)
  while at + 2 < stop and tokens[at].kind == "w" and tokens[at + 1].kind == "." do
    at = at + 2
  end
  local kind = kind_at(tokens, at, stop)
  at = at + ((kind == "w" or kind == "p") and 1 or 0)
  return at + (kind_at(tokens, at, stop) == "(" and 1 or 0)
end

--- Behind the type's name at `at`, with precision and brackets.
local function end_of_type(tokens, at, stop)
  local name = at < stop and word_of(tokens[at])
  if name then
    at = at + ((name == "double" or name == "character") and 2 or 1)
  end
  while kind_at(tokens, at, stop) == "(" or kind_at(tokens, at, stop) == "[" do
    at = at + 1
  end
  return at
end

--- Where the type of the last cast begins, if only casts follow the operand.
local function last_cast(tokens, at, stop)
  local cast
  while at + 1 < stop and tokens[at].kind == ":" do
    cast = at + 1
    at = end_of_type(tokens, cast, stop)
  end
  return at == stop and cast or nil
end

local function item_type(tokens, at, stop, declared)
  local operand = end_of_operand(tokens, at, stop)
  local cast = operand > at and last_cast(tokens, operand, stop)
  if cast then
    return cast_type(tokens, cast, stop)
  elseif operand == stop and stop - at == 3 and tokens[at + 1].kind == "." then
    return column_type(tokens, tokens[at].text, tokens[at + 2].text, declared)
  end
  return operand == stop and stop - at == 2 and word_of(tokens[at]) == "count" and "integer"
    or "any"
end

--- Postgres names an unaliased column by its column or function. nil: unnamed.
local function operand_name(tokens, at, stop)
  local operand = end_of_operand(tokens, at, stop)
  local whole = operand == stop or last_cast(tokens, operand, stop)
  if operand > at and tokens[operand - 1].kind == "(" then
    operand, whole = operand - 1, true
  end
  return whole and operand > at and tokens[operand - 1].kind == "w" and tokens[operand - 1].text
    or nil
end

local before_alias = set_of("w", "(", "[")

--- Name and type of an item; the name may be absent. false: a star, whose columns the text does not
--- name.
local function read_item(tokens, at, stop, declared)
  local last, second = tokens[stop - 1], tokens[stop - 2]
  if at == stop or last.kind == "*" and (stop - at == 1 or second.kind == ".") then
    return false
  end
  local name, operand_stop
  if stop - at >= 3 and word_of(second) == "as" then
    name, operand_stop = last.text, stop - 2
  elseif stop - at >= 2 and last.kind == "w" and word_of(last) ~= "end"
      and before_alias[second.kind]
      and not last_cast(tokens, end_of_operand(tokens, at, stop), stop) then
    name, operand_stop = last.text, stop - 1
  else
    name, operand_stop = operand_name(tokens, at, stop), stop
  end
  return name, name == "key" and "string" or item_type(tokens, at, operand_stop, declared)
end

-- The list --------------------------------------------------------------------------------------

local function list_begin(tokens)
  local begin
  for i, token in ipairs(tokens) do
    local word = word_of(token)
    if not begin and word == "select" or word == "returning" then
      begin = i + 1
    end
  end
  if begin and word_of(tokens[begin]) == "distinct" then
    begin = begin + 1
    begin = begin + (tokens[begin + 1] and word_of(tokens[begin]) == "on" and 2 or 0)
  end
  return begin
end

local ends_list = set_of("from", "where", "union", "intersect", "except", "order", "limit")

local function item_end(tokens, at)
  while tokens[at] and tokens[at].kind ~= "," and tokens[at].kind ~= ";"
      and not (ends_list[word_of(tokens[at])] and word_of(tokens[at - 1]) ~= "distinct") do
    at = at + 1
  end
  return at
end

return function(sql, declared)
  local tokens, columns = read_tokens(sql), {}
  local at = list_begin(tokens)
  if not at then
    return nil
  end
  repeat
    local stop = item_end(tokens, at)
    local name, kind = read_item(tokens, at, stop, declared)
    if name == false then
      return nil
    elseif name then
      columns[#columns + 1] = { name = name, type = kind }
    end
    at = stop + 1
  until not tokens[stop] or tokens[stop].kind ~= ","
  return columns
end
