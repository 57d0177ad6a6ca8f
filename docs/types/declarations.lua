---@meta _

--- The tables that files of handlers, routes, reactions and the view return, and the arguments of
--- their functions. `docs/SCRIPT_API.md` has examples. `aggregator types` writes classes for this
--- service's own events and tables, which extend these.

--- The second result of a failed call of a module. `docs/MODULES.md` has its kinds. Never send its
--- message to a client.
---@class Failure
---@field kind "unavailable"|"timeout"|"input"|"internal"
---@field message string one line for the log; it never holds a password
---@field sqlstate? string of a failure of `pg`; `""` unless Postgres stated one
---@field results? kafka.Result[] of a failure of `kafka.produce_all`: the result of each record

--- The table that a file of `scripts/handlers` returns.
---@class Handler
---@field topics string|string[] whose records it handles
---@field time? string path of the event's own time; default: the envelope's
---@field fields table<string, string|Field> a path, or more, by the name that the event has it under
---@field handle fun(event: Event, view: View): "ignored"|nil, Failure? called once an event; returns nothing, or `"ignored"`. An error rejects the event. A failure of kind "unavailable" or "timeout", raised or returned after nil, makes it wait

--- Where a field of an event is, and its checks. A value that is missing, mistyped, unknown or out of
--- bounds rejects the event before the handler runs.
---@class Field
---@field [integer] string a path; of several the first one present counts
---@field type? "string"|"integer"|"bigint"|"number"|"boolean"|"timestamp"|"date"|"uuid"|"json"|"object"|"strings"|"list" default `"string"`. `integer`: below 2^53 either way; `bigint`: of 64 bits, a number or its digits in a string, which a script gets as a number, past 2^53 as digits; `timestamp`: a number of microseconds, only to be passed on; `date`: text, `"2025-06-28"`; `uuid`: text in lower case; `json`: an object or list, as bytes; `object`: only that it is one
---@field optional? boolean missing or null is nil rather than a rejection
---@field required_if? string the name of another field: required if that field is present, else optional
---@field check_only? boolean checked, but not in `event`: costs nothing per event in Lua
---@field min? number bound, inclusive: of a number, or of a string's length in bytes (of each of `strings`); 1 rejects an empty id
---@field max? number likewise
---@field enum? table<string, string>|string[] of a string: wire word → own word, or a list of unchanged words
---@field fields? table<string, string|Field> of a `list`: the fields of each item, their paths from the item

--- What `scripts/envelope.lua` returns: where the events' JSON has what every event has. The ids and the
--- time decide which of two events is the newer one; the correlation id goes into log lines.
---@class EnvelopeDeclaration
---@field id string path of the UUID that names the event: `event.event_id`
---@field time string path of its time, a timestamp: `event.time`. A handler's `time` names another path
---@field correlation_id string path of the correlation id, which an event may lack: `event.correlation_id`
---@field fields? table<string, string|Field> further fields of every event, declared as those of a handler

--- What every event has, beside the fields that the envelope and its handler declare. Reading another field, or one that is only
--- checked, is an error, which names the nearest; so it is for the items of its lists. It is read-only,
--- and valid during the call only.
---@class Event
---@field event_id string
---@field time integer microseconds, only to be passed on
---@field correlation_id? string

--- The table that a file of `scripts/routes` returns.
---@class Route
---@field method? "GET"|"POST"|"PUT"|"PATCH"|"DELETE" default `"GET"`, which HEAD follows
---@field path string with parameters: `"/internal/v1/batches/{batch_id}/status"`
---@field aliases? string[] further paths
---@field endpoint? string its label in metrics; default: the file's name
---@field auth? boolean false: without credentials
---@field writes? boolean a GET that writes to Postgres: it never asks a replica (`postgres.read_urls`)
---@field stream? boolean its response may be a `stream`: made while it is sent. Neither `cache`, `live` nor `words`
---@field cache? RouteCache caches the responses; for GET
---@field live? true|string its changes are streamed (Server-Sent Events) under this path, with the parameters of `path`; true: under each path followed by `/events`. Needs `cache`
---@field words? RouteWords words of the body that differ by caller
---@field query? table<string, string|Field> the query parameters: their names instead of paths, by the name that `request.query` has them under; default: the field's own name. A parameter that is not among them gives a 400 with the nearest; without `query` any is passed, as text. Types: string, integer, bigint, number, boolean, timestamp, date, uuid
---@field headers? table<string, string|Field> the headers that `request.headers` has, declared likewise: `{ key = { "Idempotency-Key", optional = true } }`
---@field body? RouteBody the body of a POST, PUT, PATCH or DELETE; without it a request with a body gets a 413
---@field rate_limit? RouteRateLimit of each caller; above it a request gets a 429
---@field handle fun(request: Request): Response called once a request; an error gives a 500

--- How a route's responses are cached. A 200 is served for `ttl_s`, unless a commit touches one of its
--- `tags`; then it is stale, and not served, except as the three keys of stale responses say.
---@class RouteCache
---@field key string with every parameter of the path: `"api:batch:{batch_id}"`; no other route's
---@field type? string its label in metrics; default: the endpoint
---@field vary? RouteVary what responses vary with, beside the path: all that `query` and `headers` declare. Requests with the same values share a response
---@field ttl_s? integer seconds, at most 604800; default: `cache.ttl_s` of the configuration
---@field stale_while_revalidate_s? integer for so long after `ttl_s` a response is served at once, while one request of the process computes it again (RFC 5861)
---@field stale_if_error_s? integer for so long after `ttl_s` it is served if the route fails (RFC 5861)
---@field stale_after_commit? boolean true: a commit makes a response stale instead of dropping it, so that the two keys before apply to it: a client may get an answer that is older than a commit by so much. Default: false
---@field max_age_s? integer clients may use a 200 for so long without asking: `Cache-Control: private, max-age=N` (`public` without `auth`) with `Age` and `Vary`, in place of `private, no-cache`. No commit reaches what a client keeps

--- What the responses of a cached route vary with: names of its declaration, all of them.
---@class RouteVary
---@field query? string|string[] names of `query`
---@field headers? string|string[] names of `headers`: at most 16; the header `Vary` of a response lists them

--- Words of a response that are translated by caller: `http.vocabularies` of `config.lua` names the
--- vocabulary of an `X-Service-ID`. One response is cached for all, and translated when it is sent.
---@class RouteWords
---@field at string names of objects of the body, down to the word, with dots; lists between them are traversed: `"batches.overall_status"`
---@field known? string|string[] the words that a body may have there: a vocabulary with a word for another one is refused
---@field vocabularies table<string, table<string, string>> by name: the translation of each word of the body; other words stay

--- The body of a route's requests. One of another media type gets a 415, without a length a 411, and a
--- longer one a 413, before it is read; one that does not fit the fields gets a 400.
---@class RouteBody
---@field fields? table<string, string|Field> of a JSON object, declared as those of an event: `request.body` has them. Without `fields` it is the bytes as they are
---@field content_type? string its media type, without parameters; default: `"application/json"`, to which `fields` belong
---@field max_bytes? integer default 65536, at most 16 MiB
---@field ignore_unknown? boolean accepts and drops members that no field declares; else they give a 400

--- How often a caller, an allowed `X-Service-ID`, may ask the route in one process; without
--- authentication all callers together.
---@class RouteRateLimit
---@field requests integer in each `per_s`, in the long run; at most 100000
---@field per_s? integer seconds; default 1, at most 86400
---@field burst? integer requests at once after a pause; default: `requests`

--- A request as a route gets it, decoded. Reading another name of it is an error, which names the
--- nearest.
---@class Request
---@field params table<string, string> of the path, by name; reading one that no path of the route has is an error
---@field query table<string, any> by name. Of a route that declares `query` the fields, in their types; a cached route has no others
---@field headers table<string, any> the fields of a route that declares `headers`
---@field body any the fields, or the bytes, of a route that declares `body`
---@field method string the route's: `"GET"` also for HEAD
---@field correlation_id string
---@field traceparent? string the header of W3C Trace Context, to be passed on; nil if missing or malformed

--- The response of a route: `status` with `body`, `error` or `stream`, or `unavailable` alone.
---@class Response
---@field status? integer 200 to 599
---@field body? string JSON, sent as it is
---@field stream? fun(write: fun(part: string)): any, Failure? of a route that declares `stream`, with a status of 2xx: called with `write`, which sends a part and waits for a slow client. Returns nothing, or nil and a failure of a module. Until 64 KiB are written an error gives a 500, a failure a 503; after that the connection breaks
---@field error? string the message of an error, for the client
---@field type? string of an error: the URI that names its kind, as in a problem document (RFC 9457)
---@field headers? table<string, string> of a route without `cache`: names and printable ASCII; not those that frame the response, `ETag` and `Content-Encoding`
---@field unavailable? Failure gives a 503 with Retry-After
---@field tags? string[] surrogate keys, the ids that the response depends on: a commit that touches one drops the cached response

--- The table that a file of `scripts/reactions` returns.
---@class Reaction
---@field follows table<string, string> a table of the view → its column of text, uuid, integer or bigint whose value is the key, as text: a commit that writes a value calls the reaction for that value, not for the row's previous one. Use a column that never changes for a row
---@field query string a file of `sql/queries` with the one parameter `:keys` (`text[]`); its rows have a column `key`
---@field publish fun(row: table<string, any>): Message|Message[]|nil called for each row, null columns nil; it reads nothing else, so the same row gives the same messages. After an error the key is retried later

--- A message to other services, sent through the outbox. It states a fact: the same fact must give the
--- same message, so that replays and rebuilds publish nothing twice.
---@class Message
---@field topic string
---@field key string messages of one key are sent in the order in which they were stored
---@field value table|string written as JSON with sorted keys, or JSON; at most 1 MiB
---@field identity string names the fact, at most 200 bytes: a message with a stored identity is not stored again. Unique over all topics and reactions
---@field at integer when the fact came true, microseconds since 1970: facts older than the outbox's horizon are not sent
---@field headers? table<string, string>

--- A table of the view, as `scripts/view.lua` declares it. That file explains rules and types.
---@class TableDeclaration
---@field name string
---@field key string[][] columns: `{ { "batch_id", "text" } }`
---@field groups GroupDeclaration[]
---@field content? string the group whose values the key's `content` column hashes
---@field retention? RetentionDeclaration when its rows leave; without it they stay

--- When rows of a table leave the view, by the time of the event and in days of UTC.
---@class RetentionDeclaration
---@field days integer a row leaves so many days after the version of `by`; at least `span_days` + 14
---@field span_days integer no event about a row, or about what leaves with it, is so many days newer than that version. Events older than `days` - `span_days` are expired: they change nothing
---@field by string a group of the table with the rule `first`
---@field with? table<string, string> rows that leave together: a table → its column that has the key of this one

--- Columns that move together.
---@class GroupDeclaration
---@field name string
---@field rule "first"|"latest"|"min"|"max"|"set"|"count" `set`: the union of the items of its one list column; `count`: its one integer column is the number of different ids that were merged into it
---@field columns string[][] name and type of each
---@field limit? integer of the rules `set` and `count`: the most items that stay, default 1000, at most 10000. Of more the least ones stay, in order of their bytes or size

--- What handlers merge into: one object per table, by its name. It is read-only. A table, group or column
--- that the view does not have is an error, which names the nearest.
---@class View
local View = {}

--- Drops the cached responses that have the id in their `tags`. A merge does so for the texts, UUIDs
--- and whole numbers of its row's key, and for no other column.
---@param id string
function View:touch(id) end

--- Publishes a message if and only if the event's merges are committed: it is stored with them, and
--- sent after the commit, at least once. A second message with its identity is not sent.
---@param message Message
function View:publish(message) end

--- A table of the view. `view.TABLE:merge` is declared for each by `aggregator types`.
---@class ViewTable
local ViewTable = {}

--- Merges columns of one group into a row. Columns left out are null. A value of a column of the type
--- `id` or `id[]`, and each text of a key, has at most 1024 bytes: indexes hold them.
---@param key any a list of the values of the key's columns, without the `content` one; of one column its value
---@param group string
---@param columns table<string, any> values by column name
function ViewTable:merge(key, group, columns) end
