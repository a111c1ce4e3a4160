-- Forget what is past its retention: the record, its lines, its deliveries and their places in every list.
-- ARGV[3] the most to forget. Returns how many went.
local gone = 0

local function deliveries_of(ref)
  local ids = redis.call('SMEMBERS', K.OUTBOX .. ref)
  if redis.call('HEXISTS', K.PREDICTION .. ref, 'lives') == 1 then
    local fields = redis.call('HGETALL', K.PREDICTION .. ref)
    for i = 1, #fields, 2 do
      if string.sub(fields[i], 1, 4) == 'dlv_' then ids[#ids + 1] = fields[i] end
    end
  end
  return ids
end

each_due(K.EXPIRY, tonumber(ARGV[3]), function(ref)
  redis.call('ZREM', K.EXPIRY, ref)
  redis.call('ZREM', K.SETTLED, ref)
  for _, id in ipairs(deliveries_of(ref)) do
    local hook = redis.call('HGET', K.DELIVERY .. id, 'hook')
    if hook then redis.call('SREM', K.DELIVERIES_PARKED .. hook, id) end
    for _, set in ipairs({K.DELIVERIES, K.DELIVERIES_WAITING, K.DELIVERIES_ACTIVE}) do redis.call('ZREM', set, id) end
    redis.call('DEL', K.DELIVERY .. id)
  end
  for _, prefix in ipairs(OF_PREDICTION) do redis.call('DEL', prefix .. ref) end
  for _, set in ipairs({K.INDEX, K.REVIEW}) do redis.call('ZREM', set, ref) end
  for stage in pairs(TERMINAL) do redis.call('ZREM', K.STAGE .. stage, ref) end
  gone = gone + 1
end)
return gone
