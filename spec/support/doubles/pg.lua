--- The double of the pg binding. It reads the query files: a name without a file, a parameter that
--- the file lacks, or one of a type that the binding refuses is an error here too.
---
--- A query without set rows returns no rows.

local arguments = require("testing.arguments")
local json = require("json")
local sources = require("testing.sources")

local M = {}

local answers, failures, calls

local known = {} -- names of parameters as a set, by query

--- Removes quoted text, comments and casts, which hold no parameters.
local function parameters(name)
  if not known[name] then
    local text = sources.query(name)
    if not text then
      local hint = sources.hint(name, sources.queries())
      error(('pg: no query "%s": %s (it would be sql/queries/%s.sql)'):format(name, hint, name), 0)
    end
    text = text:gsub("%-%-[^\n]*", ""):gsub("'[^']*'", ""):gsub('"[^"]*"', ""):gsub("::", " ")
    known[name] = {}
    for parameter in text:gmatch(":([a-z_0-9]+)") do
      known[name][parameter] = true
    end
  end
  return known[name]
end

local FAILURE = { kind = "unavailable", message = "the double fails", sqlstate = "" }
local ALLOWED = { string = true, number = true, boolean = true, table = true }

--- Clears rows, failures and calls; called before each `it`.
function M.reset()
  answers, failures, calls = {}, {}, {}
end

--- Sets the rows of a query.
---@param name string of the query
---@param rows table<string, any>[] by column name
function M.answers(name, rows)
  parameters(name)
  answers[name], failures[name] = rows, nil
end

--- Makes a query fail.
---@param name string of the query
---@param failure { kind?: string, message?: string, sqlstate?: string } the rest is filled in
function M.fails(name, failure)
  parameters(name)
  local whole = {}
  for key, default in pairs(FAILURE) do
    whole[key] = failure[key] or default
  end
  failures[name] = whole
end

--- The calls so far.
---@return { name: string, params: table, in_transaction: boolean }[] calls
function M.calls()
  return calls
end

local function check(name, params)
  local takes = parameters(name)
  for key, value in pairs(params) do
    if not takes[key] then
      local hint = sources.hint(tostring(key), takes)
      local message = 'pg: query "%s" has no parameter "%s": %s (sql/queries/%s.sql)'
      error(message:format(name, tostring(key), hint, name), 0)
    end
    if value ~= json.null and not ALLOWED[type(value)] then
      error(('pg: parameter "%s" is a %s'):format(key, type(value)), 0)
    end
  end
  for key in pairs(takes) do
    if params[key] == nil then
      error(('pg: parameter "%s" of "%s" is not given: json.null is NULL'):format(key, name), 0)
    end
  end
end

local function query(in_transaction)
  return function(name, params)
    arguments.check("query", 1, name, "string")
    arguments.check("query", 2, params, "table", "nil")
    check(name, params or {})
    calls[#calls + 1] = { name = name, params = params or {}, in_transaction = in_transaction }
    if failures[name] then
      return nil, failures[name]
    end
    return answers[name] or {}
  end
end

M.reset()

--- The module that scripts get for `require "pg"`.
M.binding = { query = query(false) }

--- Visits the set rows.
---@param name string of the query
---@param params table<string, any>
---@param visit fun(row: table<string, any>)
function M.binding.each(name, params, visit)
  arguments.check("each", 3, visit, "function")
  local rows, failure = M.binding.query(name, params)
  if not rows then
    return nil, failure
  end
  for _, row in ipairs(rows) do
    visit(row)
  end
  return #rows
end

function M.binding.bytes(text)
  arguments.check("bytes", 1, text, "string")
  return { bytes = text }
end

function M.binding.transaction(run)
  arguments.check("transaction", 1, run, "function")
  local failed, undone
  local ask = query(true)
  local result = run({
    query = function(name, params)
      if failed then
        return nil, failed
      end
      local rows, failure = ask(name, params)
      failed = failure
      return rows, failure
    end,
    rollback = function()
      undone = true
    end,
  })
  if failed and not undone then
    return nil, failed
  end
  return result == nil and true or result
end

return M
