--- Makes a route out of a table of cases, for the C tests (spec/c/sandbox.h).
---@param name string of the route
---@param cases table<string, fun(argument: string): any> each gets the test's argument
---@return Route route
return function(name, cases)
  return {
    method = "GET",
    path = "/" .. name .. "/{case}/{argument}",
    endpoint = name,
    handle = function(request)
      local case = assert(cases[request.params.case], request.params.case)
      return { status = 200, body = tostring(case(request.params.argument)) }
    end,
  }
end
