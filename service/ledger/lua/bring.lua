-- Bring predictions of a backup back into a ledger that has none of them. ARGV[3…] for each a JSON of:
--   ref, sequence, stage
--   fields      [name, value, …]  of its hash
--   lives       milliseconds of its keys from now on, 0 for ever
--   lines       [line, …]
--   events      [name, value, …]
--   sets        {key: score}      of the sorted sets in which it stands, index and stage apart
--   deliveries  [{id, fields, lives, sets, parked: name of a hook or nothing}]
--   outbox      [id, …]           those whose own list they stand in
-- Again is harmless.
local AT_ONCE = 1000

local function write(command, key, list, lives)
  redis.call('DEL', key)
  for first = 1, #list, AT_ONCE do
    redis.call(command, key, unpack(list, first, math.min(first + AT_ONCE - 1, #list)))
  end
  if lives > 0 then redis.call('PEXPIRE', key, lives) end
end

local function stand(sets, name)
  for key, score in pairs(sets) do redis.call('ZADD', key, score, name) end
end

for i = 3, #ARGV do
  local one = cjson.decode(ARGV[i])
  local ref = one.ref
  write('HSET', K.PREDICTION .. ref, one.fields, one.lives)
  write('RPUSH', K.TIMELINE .. ref, one.lines, one.lives)
  write('HSET', K.EVENTS .. ref, one.events, one.lives)
  write('SADD', K.OUTBOX .. ref, one.outbox, one.lives)
  redis.call('ZADD', K.INDEX, one.sequence, ref)
  redis.call('ZADD', K.STAGE .. one.stage, one.sequence, ref)
  stand(one.sets, ref)
  for _, delivery in ipairs(one.deliveries) do
    write('HSET', K.DELIVERY .. delivery.id, delivery.fields, delivery.lives)
    stand(delivery.sets, delivery.id)
    if delivery.parked then redis.call('SADD', K.DELIVERIES_PARKED .. delivery.parked, delivery.id) end
  end
end
return #ARGV - 2
