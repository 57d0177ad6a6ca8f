--- Reads the tokens of a script, and finds functions, calls, tables and assignments among them by
--- plain forms, without a whole parser.

--- The list as a set.
local function set_of(names)
  local set = {}
  for _, name in ipairs(names) do
    set[name] = true
  end
  return set
end

-- Tokens ----------------------------------------------------------------------------------------

--- Where a quoted string that begins at `at` ends.
local function end_of_string(source, at)
  local stop, quote = at + 1, source:sub(at, at)
  while stop <= #source and source:sub(stop, stop) ~= quote do
    stop = stop + (source:sub(stop, stop) == "\\" and 2 or 1)
  end
  return math.min(stop, #source + 1)
end

--- Where a long bracket of this level that begins at `at` ends.
local function end_of_long(source, at, level)
  local _, stop = source:find("]" .. level .. "]", at, true)
  return stop or #source
end

--- The token at `at`, and where it ends. A token has a `text` (a name, keyword, number or short
--- string, which is `quoted`) or a `mark`: its character, "~" for `..` and `...`, "?" for a
--- comparison, "s" for a long string.
local function read_token(source, at)
  local word = source:match("^[%w_]+", at)
  if word then
    return { text = word }, at + #word - 1
  end
  local first = source:sub(at, at)
  if first == '"' or first == "'" then
    local stop = end_of_string(source, at)
    return { text = source:sub(at + 1, stop - 1), quoted = true }, stop
  end
  local level = source:match("^%[(=*)%[", at)
  if level then
    return { mark = "s" }, end_of_long(source, at, level)
  elseif source:find("^[=~<>]=", at) then
    return { mark = "?" }, at + 1
  end
  local dots = source:match("^%.%.%.?", at)
  return { mark = dots and "~" or first }, at + (dots and #dots - 1 or 0)
end

--- The tokens of a script, each with its `line`, and an end token, whose mark is "$".
local function read_tokens(source)
  local tokens, at, line = {}, 1, 1
  while true do
    local next_at = source:find("%S", at) or #source + 1
    local level = source:match("^%-%-%[(=*)%[", next_at)
    local stop
    line = line + select(2, source:sub(at, next_at - 1):gsub("\n", ""))
    if next_at > #source then
      tokens[#tokens + 1] = { mark = "$", line = line }
      return tokens
    elseif level then
      stop = end_of_long(source, next_at, level)
    elseif source:find("^%-%-", next_at) then
      stop = (source:find("\n", next_at, true) or #source + 1) - 1
    else
      tokens[#tokens + 1], stop = read_token(source, next_at)
      tokens[#tokens].line = line
    end
    line = line + select(2, source:sub(next_at, stop):gsub("\n", ""))
    at = stop + 1
  end
end

local function is_name(token)
  return token.text ~= nil and not token.quoted
end

local function is_word(token, word)
  return token.text == word and not token.quoted
end

--- Each pattern's parts, split once.
local parts_of = setmetatable({}, {
  __index = function(all, pattern)
    local parts = {}
    for part in pattern:gmatch("%S+") do
      parts[#parts + 1] = part
    end
    all[pattern] = parts
    return parts
  end,
})

--- Whether these tokens, separated by spaces, begin at `at`; `%n` is any name, `%s` any short
--- string.
local function matches(tokens, at, pattern)
  for i, part in ipairs(parts_of[pattern]) do
    local token = tokens[at + i - 1]
    if not token then
      return false
    elseif part == "%n" then
      if not is_name(token) then
        return false
      end
    elseif part == "%s" then
      if not token.quoted then
        return false
      end
    elseif token.mark ~= part and not is_word(token, part) then
      return false
    end
  end
  return true
end

--- Whether the token is this name, and not a field.
local function is_free_name(tokens, at, name)
  local before = at > 1 and tokens[at - 1].mark
  return is_word(tokens[at], name) and before ~= "." and before ~= ":"
end

local opening, closing = set_of({ "(", "{", "[" }), set_of({ ")", "}", "]" })

--- 1 at an opening bracket, -1 at a closing one, 0 elsewhere.
local function nesting(token)
  return (opening[token.mark] and 1 or 0) - (closing[token.mark] and 1 or 0)
end

--- Index after the closing bracket of the one at `at`.
local function skip_brackets(tokens, at)
  local depth = 0
  for i = at, #tokens - 1 do
    local mark = tokens[i].mark
    depth = depth + (opening[mark] and 1 or 0)
    depth = depth - (closing[mark] and depth > 0 and 1 or 0)
    if depth == 0 then
      return i + 1
    end
  end
  return #tokens
end

-- Functions -------------------------------------------------------------------------------------

local begins_block = set_of({ "function", "do", "if", "repeat" })
local ends_block = set_of({ "end", "until" })

--- Index after the `end` of the block whose body begins at `at`.
local function skip_block(tokens, at)
  local depth = 1
  while at < #tokens and depth > 0 do
    local word = is_name(tokens[at]) and tokens[at].text
    depth = depth + (begins_block[word] and 1 or 0) - (ends_block[word] and 1 or 0)
    at = at + 1
  end
  return at
end

--- Index of the first token from `at` on with this mark, or of the end.
local function find_mark(tokens, at, mark)
  while at < #tokens and tokens[at].mark ~= mark do
    at = at + 1
  end
  return at
end

--- The function at `at` with its parameters at `open`: NAME = function(…), NAME(function(…) or
--- function X.NAME(…).
local function is_named(tokens, at, open, name)
  if open > at + 1 then
    return tokens[open - 1].text == name
  end
  local before = at > 2 and tokens[at - 1].mark
  return (before == "=" or before == "(") and tokens[at - 2].text == name
end

--- The first function of this name from `at` on: its parameters, and the range of its body.
local function find_function(tokens, at, name)
  for i = at, #tokens - 1 do
    local open = is_word(tokens[i], "function") and find_mark(tokens, i + 1, "(")
    if open and is_named(tokens, i, open, name) then
      local params, close = {}, find_mark(tokens, open, ")")
      for p = open + 1, close - 1 do
        params[#params + 1] = tokens[p].text
      end
      return { params = params, first = close + 1, last = skip_block(tokens, close + 1) - 1 }
    end
  end
end

--- Whether the name is in the list of names at `at`.
local function lists_name(tokens, at, name)
  while is_name(tokens[at]) do
    if tokens[at].text == name then
      return true
    elseif tokens[at + 1].mark ~= "," then
      return false
    end
    at = at + 2
  end
  return false
end

local function binds_name(tokens, at, name)
  if is_word(tokens[at], "local") or is_word(tokens[at], "for") then
    return lists_name(tokens, at + 1, name)
  elseif is_word(tokens[at], "function") then
    local open = find_mark(tokens, at, "(")
    return open < #tokens and lists_name(tokens, open + 1, name)
  elseif at == 1 or not is_free_name(tokens, at, name) or not matches(tokens, at + 1, "=") then
    return false
  end
  local before = tokens[at - 1].mark
  return before ~= "{" and before ~= "," and before ~= ";"
end

--- The name of a parameter; nil: the function lacks it, or gives the name another meaning.
local function param_of(tokens, body, index)
  local name = body.params[index]
  for at = body.first, name and body.last or 0 do
    if binds_name(tokens, at, name) then
      return nil
    end
  end
  return name
end

--- Calls `use` for each place in the body where the parameter stands.
local function each_use(tokens, body, index, use)
  local name = param_of(tokens, body, index)
  for at = body.first, name and body.last or 0 do
    if is_free_name(tokens, at, name) then
      use(at)
    end
  end
end

-- Calls and tables ------------------------------------------------------------------------------

local function add_item(tokens, items, first, stop)
  if first >= stop then
    return
  end
  local item = { first = first, stop = stop }
  if matches(tokens, first, "%n =") then
    item.key, item.first = tokens[first].text, first + 2
  elseif matches(tokens, first, "[ %s ] =") then
    item.key, item.first = tokens[first + 1].text, first + 4
  end
  items[#items + 1] = item
end

--- What the opening bracket at `at` encloses, split at commas: each item's range, which ends before
--- `stop`, and the `key` of `key = …` and `["key"] = …`.
local function read_items(tokens, at)
  local items, stop, first = {}, skip_brackets(tokens, at) - 1, at + 1
  at = first
  while at < stop do
    local mark = tokens[at].mark
    if opening[mark] then
      at = skip_brackets(tokens, at)
    elseif is_word(tokens[at], "function") then
      at = skip_block(tokens, at + 1)
    else
      if mark == "," or mark == ";" then
        add_item(tokens, items, first, at)
        first = at + 1
      end
      at = at + 1
    end
  end
  add_item(tokens, items, first, stop)
  return items
end

--- Whether the item is just a table constructor, or a short string.
local function is_table(tokens, item)
  return tokens[item.first].mark == "{" and skip_brackets(tokens, item.first) == item.stop
end

local function is_string(tokens, item)
  return item.stop == item.first + 1 and tokens[item.first].quoted
end

-- Assignments -----------------------------------------------------------------------------------

local ends_statement = set_of({
  "return", "then", "do", "else", "end", "if", "elseif", "while", "until",
})

local before_table = set_of({ "and", "or", "not", "return", "in" })

--- Whether a table behind the token is its argument: `f { ... }`.
local function takes_table(token)
  return token.mark == ")" or token.mark == "]"
    or (is_name(token) and not before_table[token.text])
end

--- Index of the name that the target to the left of `at` begins with: of `a.b[c]` it is `a`. nil: a
--- table begins before it.
local function root_of_target(tokens, at)
  local depth = 0
  for root = at - 1, 2, -1 do
    depth = depth - nesting(tokens[root])
    if depth < 0 then
      return nil
    elseif depth == 0 and is_name(tokens[root]) and tokens[root - 1].mark ~= "." then
      return root
    end
  end
end

local before_statement = set_of({ ")", "]", "}", ";", "s" })

--- Where the targets begin of the assignment whose `=` is at `at`. nil: it gives a table a field.
local function find_targets(tokens, at)
  local roots = {}
  repeat
    at = root_of_target(tokens, at)
    if not at or ends_statement[tokens[at].text] then
      return nil
    end
    table.insert(roots, 1, at)
    at = at - 1
  until tokens[at].mark ~= ","
  local before = tokens[at]
  local follows = before.quoted or before_statement[before.mark]
    or (is_name(before) and not before_table[before.text])
  return follows and roots or nil
end

--- Where the target begins that is assigned what is at `at`: `x` of `x = at`, `x = y or at`,
--- `x = { at }` and `y, x = 1, at`. nil: there is none, or `at` is an argument.
local function find_target(tokens, body, at)
  local depth, commas, in_field = 0, 0, false
  for i = at - 1, body.first, -1 do
    local token = tokens[i]
    depth = depth - nesting(token)
    if depth < 0 and token.mark == "{" and not takes_table(tokens[i - 1]) then
      depth, commas, in_field = 0, 0, false -- the table has it
    elseif depth < 0 or (is_name(token) and ends_statement[token.text]) then
      return nil
    elseif depth == 0 and token.mark == "," then
      commas = commas + 1
    elseif depth == 0 and token.mark == "=" and not in_field then
      local roots = find_targets(tokens, i)
      if roots then
        return roots[commas + 1]
      end
      in_field = true
    end
  end
end

return {
  set_of = set_of, read_tokens = read_tokens, is_name = is_name, is_word = is_word,
  matches = matches, is_free_name = is_free_name, find_function = find_function,
  binds_name = binds_name, each_use = each_use, read_items = read_items, is_table = is_table,
  is_string = is_string, skip_block = skip_block, find_target = find_target,
}
