-- Look after everything that is due: predictions first, then deliveries. ARGV[3] the most to touch of each,
-- [4] 1 to reclaim expired leases, 0 just after an outage of Redis: then nobody could renew, and nobody crashed.
-- Expired leases are crashes and go back to work; jobs lost from the queue ring again.
-- Returns {rung, crashed, delivered-rings}.
local limit = tonumber(ARGV[3])
local reclaim = ARGV[4] == '1'
local rung, crashed, redelivered = 0, 0, 0

local function look(ref)
  local key = K.PREDICTION .. ref
  local held = redis.call('HMGET', key, 'stage', 'pushed', 'alone', 'worker')
  if held[1] == 'accepted' then
    if held[2] and not gone_from_queue(tonumber(held[2])) then
      redis.call('ZADD', K.DUE_WORK, next_look(), ref)
    else
      ring_process(ref)
      rung = rung + 1
    end
  elseif held[1] == 'working' and not reclaim then
    redis.call('ZADD', K.DUE_WORK, instant(NOW + 1), ref)
  elseif held[1] == 'working' then
    redis.call('HINCRBY', key, held[3] and 'crashes_alone' or 'crashes', 1)
    redis.call('HDEL', key, 'lease_until', 'alone')
    move(ref, 'working', 'accepted')
    note(ref, 'crashed', held[4])
    ring_process(ref)
    crashed = crashed + 1
  else
    redis.call('ZREM', K.DUE_WORK, ref)
  end
end

local function look_at_delivery(id)
  local held = redis.call('HMGET', K.DELIVERY .. id, 'state', 'pushed')
  if held[1] ~= 'pending' then
    redis.call('ZREM', K.DELIVERIES_ACTIVE, id)
    redis.call('ZREM', K.DELIVERIES_WAITING, id)
  elseif held[2] and not gone_from_queue(tonumber(held[2])) then
    redis.call('ZADD', K.DELIVERIES_ACTIVE, next_look(), id)
  else
    ring_deliver(id)
    redelivered = redelivered + 1
  end
end

each_due(K.DUE_WORK, limit, look)
each_due(K.DELIVERIES_WAITING, limit, look_at_delivery)
each_due(K.DELIVERIES_ACTIVE, limit, look_at_delivery)
return {rung, crashed, redelivered}
