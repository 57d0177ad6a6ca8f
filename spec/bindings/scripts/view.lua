--- The smallest view: the specs of the bindings merge nothing.
return {
  {
    name = "things",
    key = { { "thing_id", "text" } },
    groups = { { name = "thing", rule = "latest", columns = { { "name", "text" } } } },
  },
}
