---@meta testing.fixtures

--- The files of `spec/fixtures`, for specs, which have no `io`.
---@class testing.fixtures
local fixtures = {}

--- The bytes of a file.
---@param path string below `spec/fixtures`, say `"events/batch_registered.json"`
---@return string text
function fixtures.read(path) end

--- The lines of a file that are not empty.
---@param path string below `spec/fixtures`
---@return string[] lines
function fixtures.lines(path) end

--- As `json.decode`, but raises where the text is not JSON.
---@param text string
---@return any value
function fixtures.decode(text) end

--- `decode(read(path))`, a new value each time.
---@param path string below `spec/fixtures`
---@return any value
function fixtures.load(path) end

return fixtures
