--- What the event says, in one sentence.

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
    -- Keep what it says, in a table and a group of scripts/view.lua:
    --   view.TABLE:merge(event.entity_id, "GROUP", { COLUMN = event.status })
    view:touch(event.entity_id) -- cached answers that depend on this id end
  end,
}
