-- redis-lua: `lua5.1 redis-lua.lua TRANSPORT WHERE CA PROTOCOL`.
local redis = require("redis")

local transport, where = unpack(arg)
io.stdout:setvbuf("line")

local function open()
  -- [connect]
  local address = {
    tcp = { host = "127.0.0.1", port = where },
    unix = { scheme = "unix", path = where },
  }
  local client = redis.connect(address[transport])
  -- [/connect]
  return client
end

local function is(reply, expected)
  if type(reply) == "table" then reply = table.concat(reply, " ") end
  if type(expected) == "table" then expected = table.concat(expected, " ") end
  if reply ~= expected then error(tostring(reply) .. " instead of " .. tostring(expected), 2) end
end

local function sorted(list)
  table.sort(list)
  return list
end

-- The library has no method for these.
redis.commands.client = redis.command("CLIENT")

local bytes = {}
for byte = 0, 255 do bytes[#bytes + 1] = string.char(byte) end
local every_byte = table.concat(bytes)

print("version " .. redis._VERSION:match("%d.*"))
local client = open()
is(client:flushall(), true)

is(client:setbit("k", 7, 1), 0)
is(client:setbit("k", 7, 1), 1)
is(client:setbit("k", 100000, 1), 0)
is({ client:getbit("k", 7), client:getbit("k", 8) }, { 1, 0 })
is(client:bitcount("k"), 2)
print("ok bits")

is(client:set("a", "abc"), true)
is(client:set("b", "ab"), true)
is(client:bitop("AND", "and", "a", "b"), 3)
is(client:get("and"), "ab\0")
print("ok bitop")

is(client:set(every_byte, every_byte), true)
is(client:get(every_byte), every_byte)
is(client:get("missing"), nil)
print("ok bytes")

is(client:expire("k", 100), true)
is(client:ttl("k") > 90, true)
is(client:persist("k"), true)
is(client:ttl("k"), -1)
print("ok deadlines")

is(client:mset("p:1", 1, "p:2", 2, "q:1", 3), true)
is(sorted(client:keys("p:*")), { "p:1", "p:2" })
local cursor, scanned = "0", {}
repeat
  local page = client:scan(cursor, { match = "?:1", count = 1 })
  cursor = page[1]
  for _, key in ipairs(page[2]) do scanned[#scanned + 1] = key end
until cursor == "0"
is(sorted(scanned), { "p:1", "q:1" })
is(client:del("p:1", "p:2", "missing"), 2)
print("ok keys")

local replies = client:transaction(function(transaction)
  transaction:setbit("t", 1, 1)
  transaction:setbit("t", 2, 1)
  transaction:bitcount("t")
end)
is(replies, { 0, 0, 2 })
print("ok transaction")

replies = client:pipeline(function(pipeline)
  for bit = 0, 999 do pipeline:setbit("many", bit, 1) end
end)
is(replies, string.rep("0 ", 999) .. "0")
is(client:bitcount("many"), 1000)
print("ok pipeline")

local went_well, message = pcall(client.setbit, client, "k", -1, 1)
is(went_well, false)
is(message:match("redis error: (.*)"), "ERR bit offset is not an integer or out of range")
is(client:ping(), true)
print("ok error")

local heard
for told, abort in open():pubsub({ subscribe = "news" }) do
  if told.kind == "subscribe" then is(client:publish("news", every_byte), 1) end
  if told.kind == "message" then
    heard = told.payload
    abort()
  end
end
is(heard, every_byte)
print("ok channels")

print("self " .. client:client("INFO"))
