-- Give a compact prediction its own keys back. ARGV[3] source:id, [4] a JSON of:
--   seen       [name, value, …]    fields that must still be so: another may have restored it, or it has moved on
--   gone       [name, …]           fields of the compact form alone
--   fields     {name: value}       what stands in the record is newer, and stays
--   lines      [line, …]           before those that were written since
--   events     {id: body}
--   deliveries {id: [name, value, …]}
-- Returns 1, or 0 when it is not as it was seen.
local ref, what = ARGV[3], cjson.decode(ARGV[4])
local key = K.PREDICTION .. ref
local held = redis.call('HMGET', key, 'stage', 'lives')
for i = 1, #what.seen, 2 do
  if (redis.call('HGET', key, what.seen[i]) or '') ~= what.seen[i + 1] then return 0 end
end

redis.call('HDEL', key, unpack(what.gone))
for name, value in pairs(what.fields) do redis.call('HSETNX', key, name, value) end
for i = #what.lines, 1, -1 do redis.call('LPUSH', K.TIMELINE .. ref, what.lines[i]) end
for id, body in pairs(what.events) do redis.call('HSET', K.EVENTS .. ref, id, body) end
for id, fields in pairs(what.deliveries) do
  redis.call('SADD', K.OUTBOX .. ref, id)
  redis.call('HSET', K.DELIVERY .. id, unpack(fields))
  redis.call('EXPIRE', K.DELIVERY .. id, held[2])
end
if TERMINAL[held[1]] then
  for _, prefix in ipairs(OF_PREDICTION) do redis.call('EXPIRE', prefix .. ref, held[2]) end
  redis.call('ZADD', K.SETTLED, instant(NOW), ref)
end
return 1
