-- Ring one of the deliveries that wait for each hook that is down: whoever gets it finds out whether the hook is back.
-- ARGV[3…] names of hooks. Returns how many ring. What waits for a disabled one goes on waiting.
local rung = 0
for i = 3, #ARGV do
  local parked = K.DELIVERIES_PARKED .. ARGV[i]
  if redis.call('SCARD', parked) > 0 and redis.call('HEXISTS', K.HOOK .. ARGV[i], 'disabled') == 0 then
    for _, id in ipairs(redis.call('SPOP', parked, 1)) do
      if redis.call('HGET', K.DELIVERY .. id, 'state') == 'pending' then
        ring_deliver(id)
        rung = rung + 1
      end
    end
  end
end
return rung
