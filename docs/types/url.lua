---@meta url

--- Texts as parts of a URL.
---@class url
local url = {}

--- A text as one segment of a path, or as the name or value of a query parameter: each byte but
--- letters, digits and `-._~` becomes `%XX` (RFC 3986, section 2). So no text ends its part.
---
--- ```lua
--- return { status = 201, body = row.body, headers = { Location = "/notes/" .. url.encode(row.id) } }
--- ```
---
--- Readers drop the segments `.` and `..` even where they are encoded (`%2E`): no path has them as a
--- parameter.
---@param text string any bytes
---@return string encoded ASCII
function url.encode(text) end

return url
