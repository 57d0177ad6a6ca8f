--- The state of an item: that of the latest event, in whatever order they arrive.

---@type handlers.item_changed
return {
  topics = { "@topic@.item.changed.v1" },
  fields = {
    item_id = { "data.item_id", min = 1 }, -- must not be empty
    state = { "data.state", enum = { "open", "closed" } },
  },
  handle = function(event, view)
    view.items:merge(event.item_id, "state", { state = event.state })
  end,
}
