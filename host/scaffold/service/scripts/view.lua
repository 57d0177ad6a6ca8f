--- The view: one row an item.

---@type TableDeclaration[]
return {
  {
    name = "items",
    key = { { "item_id", "text" } },
    groups = {
      { name = "state", rule = "latest", columns = { { "state", "text" } } },
    },
  },
}
