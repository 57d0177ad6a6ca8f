---@meta uuid

--- Identifiers derived from names: the same name always gives the same identifier. Random ones are
--- missing, because a replay cannot repeat them.
---
--- ```lua
--- local FACTS = "0e3a2b8c-5d0c-4f67-9a53-6a0f2b1c7d44" -- generated once, for these names
--- local event_id = uuid.v5(FACTS, topic .. " " .. row.key)
--- ```
---@class uuid
local uuid = {}

--- The version 5 UUID of a name (RFC 9562, section 5.5).
---@param namespace string a UUID
---@param name string any bytes
---@return string uuid in lower case
function uuid.v5(namespace, name) end

return uuid
