---@meta cjson

--- The functions of lua-cjson 2.1.0 over the codec of `json`, for scripts written for it. New scripts
--- use `json`. `encode` sorts keys and writes numbers exactly, as `json.encode` does. A setting takes the
--- value that it has here, and raises for another. What OpenResty's fork adds (`empty_array`, `array_mt`) is missing: use `json.array`.
--- A list with a gap and a number beyond a double (`1e400`) raise. `_NAME` and `_VERSION` are missing.
---@class cjson
local cjson = {}

--- JSON's `null`, the same as `json.null`.
---@type json.Null
cjson.null = nil

--- Writes a value, as `json.encode` does.
---@param value any
---@return string text
function cjson.encode(value) end

--- Reads a text by strict RFC 8259, as `json.decode` does. Raises where the text is not JSON.
---@param text string at most 16 MiB and 64 levels
---@return any value
function cjson.decode(text) end

--- A table of its own with the same functions.
---@return cjson module
function cjson.new() end

--- Whether lists may have gaps: they may not.
---@param convert? boolean `false`
---@param ratio? integer 1
---@param safe? integer 0
---@return boolean convert `false`
---@return integer ratio 1
---@return integer safe 0
function cjson.encode_sparse_array(convert, ratio, safe) end

--- The depth that `encode` writes.
---@param depth? integer 64
---@return integer depth 64
function cjson.encode_max_depth(depth) end

--- The depth that `decode` reads.
---@param depth? integer 64
---@return integer depth 64
function cjson.decode_max_depth(depth) end

--- The digits that a number may need to read back as the same. 14 to 17 are taken; 17 are written where they are needed.
---@param digits? integer 14 to 17
---@return integer digits 17
function cjson.encode_number_precision(digits) end

--- Has no effect: no buffer is kept.
---@param keep? boolean
---@return boolean keep `false`
function cjson.encode_keep_buffer(keep) end

--- Whether NaN and infinity are written: they are not.
---@param setting? boolean|"off" `false`
---@return boolean setting `false`
function cjson.encode_invalid_numbers(setting) end

--- Whether NaN, infinity and hexadecimal numbers are read: they are not.
---@param setting? boolean|"off" `false`
---@return boolean setting `false`
function cjson.decode_invalid_numbers(setting) end

return cjson
