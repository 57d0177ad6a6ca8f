--- Answers a batch's status by one GET from Redis, over a connection of the worker's pool. The
--- little of the protocol that this takes it speaks itself: faster than by a client library.
local id = ngx.var[1]
local redis = ngx.socket.tcp()

local function fail(why)
  ngx.log(ngx.ERR, why)
  return ngx.exit(ngx.HTTP_SERVICE_UNAVAILABLE)
end

local connected, problem = redis:connect("127.0.0.1", tonumber(ngx.var.redis_port))
if not connected then
  return fail(problem)
end
local key = "answer:" .. id
local sent
sent, problem = redis:send("*2\r\n$3\r\nGET\r\n$" .. #key .. "\r\n" .. key .. "\r\n")
if not sent then
  return fail(problem)
end
local length
length, problem = redis:receive()
length = length and tonumber(length:match("^%$(%d+)$"))
if not length then
  return fail(problem or "no such answer")
end
local body
body, problem = redis:receive(length + 2) -- with the end of line behind it
if not body then
  return fail(problem)
end
redis:setkeepalive(0, 64)
ngx.header.content_length = length
ngx.print(body:sub(1, length))
