--- Surrogate keys of cached responses beside the keys of rows.

local M = {}

--- The key of the list of a depot's vehicles: a vehicle that joins it changes the list without
--- being in it before. The query depot_vehicles returns the same text.
---@param depot_id string
---@return string tag
function M.depot(depot_id)
  return "depot:" .. depot_id
end

return M
