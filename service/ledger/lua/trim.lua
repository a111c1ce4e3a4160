-- Forget what is past its retention: the record, its lines, its deliveries and their places in every list.
-- ARGV[3] the most to forget. Returns how many went.
local gone = 0

each_due(K.EXPIRY, tonumber(ARGV[3]), function(ref)
  redis.call('ZREM', K.EXPIRY, ref)
  for _, id in ipairs(redis.call('SMEMBERS', K.OUTBOX .. ref)) do
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
