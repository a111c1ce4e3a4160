-- Write down one attempt of a delivery, compare-and-set on its token.
-- ARGV[3] id, [4] token, [5] state entered, [6] HTTP status or '', [7] error or '', [8] seconds until the next attempt
-- (pending only), [9] 1 when it counts as an attempt, [10] 1 when the hook is to be disabled, [11] retention.
-- Returns 1, or 0 when another holds it.
local id, token, state, status, failure = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local key = K.DELIVERY .. id
local held = redis.call('HMGET', key, 'state', 'token', 'hook', 'ref', 'event')
if held[1] ~= 'pending' or held[2] ~= token then return 0 end
local ref = held[4]
if ARGV[9] == '1' then
  redis.call('HINCRBY', key, 'attempts', 1)
  redis.call('HSET', key, 'last_status', status, 'error', failure)
  if failure ~= '' then mark('delivery.err', 'any', sequence_of(key)) end
  count('delivery_attempts')
end
redis.call('HSET', key, 'state', state)
redis.call('ZREM', K.DELIVERIES_ACTIVE, id)
if state == 'pending' then
  local at = instant(NOW + tonumber(ARGV[8]))
  redis.call('HSET', key, 'next_attempt_at', at)
  redis.call('ZADD', K.DELIVERIES_WAITING, at, id)
else
  redis.call('EXPIRE', key, tonumber(ARGV[11]) + 86400)
  count('deliveries_' .. state)
  if state == 'dead' then mark('delivery.state', state, sequence_of(key)) end
  note(ref, 'delivered', held[3] .. ' ' .. held[5] .. ': ' .. (state == 'dead' and 'dead, ' .. failure or status))
end
if ARGV[10] == '1' then
  redis.call('HSET', K.HOOK .. held[3], 'disabled', instant(NOW), 'why', failure)
end
return 1
