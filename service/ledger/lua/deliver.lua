-- Take a delivery for one attempt. ARGV[3] its id, [4] lease seconds.
-- Returns what an attempt needs of the record, the event's body, and for how many seconds it has been failing; 'parked'
-- when its hook is disabled, or nothing when it is not to be sent.
local id, seconds = ARGV[3], tonumber(ARGV[4])
local key = K.DELIVERY .. id
local held = redis.call('HMGET', key, 'state', 'hook', 'event_id', 'ref', 'pushed')
if held[1] ~= 'pending' then
  redis.call('ZREM', K.DELIVERIES_ACTIVE, id)
  return false
end
-- Not rung: it is in other hands or waits for its next attempt, and this job is one too many from before.
if not held[5] then return false end
redis.call('HDEL', key, 'pushed', 'next_attempt_at')
redis.call('ZREM', K.DELIVERIES_WAITING, id)
if redis.call('HEXISTS', K.HOOK .. held[2], 'disabled') == 1 then
  redis.call('ZREM', K.DELIVERIES_ACTIVE, id)
  redis.call('SADD', K.DELIVERIES_PARKED .. held[2], id)
  return 'parked'
end
local body = redis.call('HGET', K.EVENTS .. held[4], held[3])
if not body then
  -- Its prediction has aged away: there is nothing left to tell.
  for _, set in ipairs({K.DELIVERIES, K.DELIVERIES_ACTIVE}) do redis.call('ZREM', set, id) end
  redis.call('DEL', key)
  return false
end
redis.call('HINCRBY', key, 'token', 1)
redis.call('ZADD', K.DELIVERIES_ACTIVE, instant(NOW + seconds), id)
-- By name: what earlier attempts were is on record there too, and may be long.
local NAMES = {'id', 'ref', 'event_id', 'event', 'hook', 'state', 'attempts', 'token', 'created_at', 'failing_since'}
local record = {'body', body}
for i, value in ipairs(redis.call('HMGET', key, unpack(NAMES))) do
  if value then
    record[#record + 1] = NAMES[i]
    record[#record + 1] = value
    if NAMES[i] == 'failing_since' then
      record[#record + 1] = 'failing_for'
      record[#record + 1] = instant(NOW - tonumber(value))
    end
  end
end
return record
