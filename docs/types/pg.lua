---@meta pg

--- The queries of `sql/queries`, in Postgres.
---
--- One connection per Lua state, opened at first use. A connection that the server closed meanwhile
--- (a restart) is detected and replaced before a statement is sent. A statement is cancelled in the
--- server, too, when no call could still wait for it.
---
--- | given | sent as |
--- | --- | --- |
--- | string, number, boolean | text, of the type that the query gives it (`:n::bigint`) |
--- | `json.null` | NULL |
--- | list of strings, numbers, booleans, `json.null` | an array, of the type that the query gives it (`:ids::uuid[]`) |
--- | `pg.bytes(text)` | bytea |
---
--- Text with a NUL byte or that is not UTF-8 is a failure of kind `"input"`, before anything is
--- sent.
---
--- | Postgres | comes as |
--- | --- | --- |
--- | NULL | nil; `json.null` within an array |
--- | boolean | boolean |
--- | int2, int4, float4, float8 | number |
--- | int8 | number, or digits past 2^53 |
--- | bytea | string of its bytes |
--- | text, numeric, json, jsonb, uuid, enums and all others | string, as Postgres writes it |
--- | timestamptz | string, in UTC: `2026-01-02 03:04:05.000006+00` |
--- | arrays of these (text, varchar, numeric, uuid, …) | list, of lists where it has more dimensions |
---
--- JSON that a query built goes to the client as it is: return `rows[1].body`, decode nothing.
---@class pg
local pg = {}

--- Rows by column name. Reading a column that the query does not return is an error, which names the
--- nearest. A statement that returns no columns gives an empty list.
---@class pg.Rows
---@field [integer] table<string, any> a row: its columns by name
---@field affected? integer the number of rows that a statement without columns changed

--- A string marked as bytea.
---@class pg.Bytes

--- A transaction under way.
---@class pg.Transaction
---@field query fun(name: string, params?: table<string, any>): pg.Rows?, Failure `pg.query` inside the transaction
---@field rollback fun() ends the transaction, undone; the function goes on

--- Runs `sql/queries/NAME.sql`: one statement, in which `:name` (lower-case letters, digits, `_`) is
--- a parameter. In strings, quoted names, dollar quotes and comments nothing is replaced, and `::`
--- casts. An array slice needs a blank: `a[1 : n]`.
---
--- Errors: no such query, a parameter that is unknown or not given, a value of a type that the query does not take (a text
--- of a wrong form is a failure: it may be the request's), two columns of one name.
--- The whole result must fit into `scripts.memory_limit_mb`: use `LIMIT`.
---
--- ```lua
--- local rows, failure = pg.query("batch_status", { batch_id = request.params.batch_id })
--- if not rows then return { unavailable = failure } end
--- ```
---@param name string of the query's file, without its ending
---@param params? table<string, any> values by parameter name. Each is given, `json.null` where NULL is meant; a name that the query does not have is an error
---@return pg.Rows? rows nil where it failed
---@return Failure failure nil where it succeeded
function pg.query(name, params) end

--- Calls a function for each row of a query, however many there are: they are fetched in parts of
--- some 256 KiB, by a cursor, in a read-only transaction of one snapshot. For responses with `stream`.
---
--- - The query is a `SELECT` or `VALUES`.
--- - Each part has the time that the call has left; each `write` of a stream gives it its whole time.
---   The server ends the transaction if ten seconds pass between two parts.
--- - An error in `visit` ends the query and is raised again.
--- - Errors: those of `pg.query`; `pg.query` or `pg.transaction` inside `visit`.
---
--- ```lua
--- return pg.each("export_notes", {}, function(row)
---   write(row.line .. "\n")
--- end)
--- ```
---@param name string of the query's file, without its ending
---@param params table<string, any> as for `pg.query`
---@param visit fun(row: table<string, any>)
---@return integer? count of the rows; nil where it failed, after some rows or none
---@return Failure failure nil where it succeeded
function pg.each(name, params, visit) end

--- Marks a string as bytea, for parameters only.
---
--- ```lua
--- pg.query("keep_raw", { raw = pg.bytes(event.raw) })
--- ```
---@param text string any bytes
---@return pg.Bytes bytes
function pg.bytes(text) end

--- Runs a function in a transaction, with one time limit for the whole.
---
--- - After a failed `tx.query` nothing can be committed: further ones return the same failure, and
---   so does `pg.transaction`.
--- - An error in `run` rolls back and is raised again.
--- - Errors: `pg.query` or another `pg.transaction` inside; a `tx` used after its end.
---
--- The failure says so where it is not known whether the commit was done (the connection was lost in
--- it). A statement that a migration changed under a running transaction fails once with
--- `"unavailable"`; outside a transaction it is retried automatically.
---
--- ```lua
--- local moved, failure = pg.transaction(function(tx)
---   local rows = tx.query("lock_batch", { batch_id = id })
---   if rows and not rows[1] then
---     tx.rollback()
---     return false
---   end
---   tx.query("move_batch", { batch_id = id, user_id = user_id })
--- end)
--- ```
---@generic T
---@param run fun(tx: pg.Transaction): T?
---@return T|true|nil result what `run` returned, or `true` if it returned nothing, once all is committed; nil where it failed
---@return Failure failure nil where it succeeded
function pg.transaction(run) end

return pg
