--- One sentence about the event.

---@type handlers.@name@
return {
  topics = { "@topic@" },
  -- time = "data.timestamp": the path of its own time, where it is not the one of envelope.lua
  fields = {
    -- a name for each path that `handle` reads; all keys: docs/types/declarations.lua
    entity_id = { "data.entity_id", min = 1 }, -- must not be empty
    status = { "data.status", enum = { "open", "closed" }, optional = true },
  },
  handle = function(event, view)
    -- Merge it into a table and a group of scripts/view.lua:
    --   view.TABLE:merge(event.entity_id, "GROUP", { COLUMN = event.status })
    view:touch(event.entity_id) -- drops cached responses that depend on this id
  end,
}
