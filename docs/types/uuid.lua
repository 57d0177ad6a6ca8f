---@meta uuid

--- Identifiers that are made of names: the same name is the same identifier, in every process and at
--- every time. There are no random ones, which no replay could repeat.
---
--- ```lua
--- local FACTS = "0e3a2b8c-5d0c-4f67-9a53-6a0f2b1c7d44" -- drawn once, for these names
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
