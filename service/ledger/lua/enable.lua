-- Enable a hook: everything that waited for it rings. ARGV[3] its name, [4] the most at once.
-- Returns how many are still parked: call again until 0.
local parked = K.DELIVERIES_PARKED .. ARGV[3]
redis.call('HDEL', K.HOOK .. ARGV[3], 'disabled', 'why', 'failing_since', 'noticed',
  'in_a_row', 'failing_with')
for _, id in ipairs(redis.call('SPOP', parked, tonumber(ARGV[4]))) do
  if redis.call('HGET', K.DELIVERY .. id, 'state') == 'pending' then ring_deliver(id) end
end
return redis.call('SCARD', parked)
