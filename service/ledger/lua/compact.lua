-- Put ended predictions into their compact form, each only if nothing has happened to it since it was read.
-- ARGV[3] seconds that the keys of an ended prediction live, [4…] for each a JSON of:
--   ref
--   seen       {stage, token, lines, last}   every change of what has ended moves it or leaves a line
--   deliveries {id: token}                   all of them, and all have ended
--   fields     [name, value, …]              what the record is from now on
-- Returns how many were.
local lives = tonumber(ARGV[3])
local done = 0

local function is_as_seen(one)
  local held = redis.call('HMGET', K.PREDICTION .. one.ref, 'stage', 'token')
  local lines = K.TIMELINE .. one.ref
  if held[1] ~= one.seen.stage or held[2] ~= one.seen.token or redis.call('LLEN', lines) ~= one.seen.lines
    or redis.call('LINDEX', lines, -1) ~= one.seen.last then return false end
  for id, token in pairs(one.deliveries) do
    local delivery = redis.call('HMGET', K.DELIVERY .. id, 'state', 'token')
    if (delivery[1] ~= 'delivered' and delivery[1] ~= 'dead') or (delivery[2] or '') ~= token then return false end
  end
  return true
end

-- Deleted first: a hash that was once large stays a hash table, whatever is taken out of it.
local function write(key, ...)
  redis.call('DEL', key)
  redis.call('HSET', key, ...)
  redis.call('EXPIRE', key, lives)
end

for i = 4, #ARGV do
  local one = cjson.decode(ARGV[i])
  local fine, same = pcall(is_as_seen, one)
  -- What is corrupt stays as it is.
  if not fine and cannot_write(same) then error(same) end
  if fine and same then
    for id in pairs(one.deliveries) do write(K.DELIVERY .. id, 'ref', one.ref) end
    for _, prefix in ipairs(OF_PREDICTION) do redis.call('DEL', prefix .. one.ref) end
    write(K.PREDICTION .. one.ref, 'lives', lives, unpack(one.fields))
    redis.call('ZREM', K.SETTLED, one.ref)
    done = done + 1
  end
end
return done
