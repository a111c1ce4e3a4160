-- Look after everything that is due: predictions first, then deliveries. ARGV[3] the most to touch of each,
-- [4] 1 to reclaim expired leases, 0 just after an outage of Redis: then nobody could renew, and nobody crashed;
-- [5] seconds since the last sweep by a clock that cannot be set, or '' when that is not known.
-- Expired leases are crashes and go back to work; jobs lost from the queue ring again, and so do those that became urgent
-- while they waited in it.
-- Returns {rung, crashed, delivered-rings, seconds by which the server's clock was set, as text, what crashed: its
-- source:id, the worker that had it, and so on}.
local limit = tonumber(ARGV[3])
local reclaim = ARGV[4] == '1'
local rung, crashed, redelivered = 0, {}, 0

-- A server's clock that is set moves every due time away from its meaning: leases would all seem to have run out, or
-- what is due would wait for an hour. So all due times are set along. Set back, those that were written since go too far,
-- hence nobody's lease is reclaimed for as long as a lease lasts: whoever is alive renews meanwhile.
local STEP = 5
local function stepped()
  local last, elapsed = tonumber(redis.call('GET', K.CLOCK) or NOW), tonumber(ARGV[5])
  redis.call('SET', K.CLOCK, instant(NOW))
  local by = NOW - last - (elapsed or math.max(0, NOW - last))
  if math.abs(by) < STEP then return 0 end
  -- Set forward, what was written since is not due before the new time, and nothing of it is moved: it would wait for
  -- as long as the step. What waits for longer than that is left alone too, and is only early.
  local before = by > 0 and '(' .. instant(last + by) or '+inf'
  for _, set in ipairs({K.DUE_WORK, K.DUE_POLL, K.DELIVERIES_WAITING, K.DELIVERIES_ACTIVE}) do
    local all = redis.call('ZRANGEBYSCORE', set, '-inf', before, 'WITHSCORES')
    for i = 1, #all, 2 do redis.call('ZADD', set, instant(tonumber(all[i + 1]) + by), all[i]) end
  end
  reclaim = false
  return by
end

-- A queue is first in, first out: when the first numbered job in it was pushed later than another one, that is no longer
-- in it. Those without a number stand before it. So a lost job is found in constant time, however long the queue is.
local LOOKED_AT = 64
local queue
local function looked_at_queue()
  if queue then return queue end
  local ids = redis.call('LRANGE', RQ.queue, 0, LOOKED_AT - 1)
  queue = {empty = #ids == 0, before = {}, whole = #ids < LOOKED_AT}
  for _, id in ipairs(ids) do
    local number = redis.pcall('HGET', RQ.job .. id, 'pushed')
    -- A stranger's job tells nothing; it will not stand there for long.
    number = type(number) == 'string' and tonumber(number) or 0
    if number > 0 then
      queue.first = number
      break
    end
    queue.before[id] = true
  end
  return queue
end

local function gone_from_queue(pushed, job)
  local seen = looked_at_queue()
  if seen.empty then return true end
  if pushed > 0 then return seen.first ~= nil and seen.first > pushed end
  return not seen.before[job] and (seen.first ~= nil or seen.whole)
end

local function look(ref)
  local key = K.PREDICTION .. ref
  local held = redis.call('HMGET', key, 'stage', 'pushed', 'created_at', 'known_at', 'rings')
  if held[1] == 'accepted' or held[1] == 'working' then watch_loss(ref, held[3], held[4]) end
  if held[1] == 'accepted' then
    local pushed = tonumber(held[2] or '')
    local overtakes = pushed and pushed > 0 and is_urgent(held[3])
    if pushed and not overtakes and not gone_from_queue(pushed, process_job(ref, held[5])) then
      redis.call('ZADD', K.DUE_WORK, next_look(), ref)
    else
      ring_process(ref)
      rung = rung + 1
    end
  elseif held[1] == 'working' and not reclaim then
    redis.call('ZADD', K.DUE_WORK, instant(NOW + 1), ref)
  elseif held[1] == 'working' then
    -- Also of one that ran alone: when its parent died too, somebody else killed both.
    crashed[#crashed + 1] = ref
    crashed[#crashed + 1] = redis.call('HGET', key, 'worker') or ''
    crash(ref, 'crashes')
  else
    redis.call('ZREM', K.DUE_WORK, ref)
  end
end

local function look_at_delivery(id)
  local held = redis.call('HMGET', K.DELIVERY .. id, 'state', 'pushed', 'rings')
  if held[1] ~= 'pending' then
    redis.call('ZREM', K.DELIVERIES_ACTIVE, id)
    redis.call('ZREM', K.DELIVERIES_WAITING, id)
  elseif held[2] and not gone_from_queue(tonumber(held[2]), deliver_job(id, held[3])) then
    redis.call('ZADD', K.DELIVERIES_ACTIVE, next_look(), id)
  else
    ring_deliver(id)
    redelivered = redelivered + 1
  end
end

-- Taken for an attempt: as with leases, nobody's time has run out just after an outage or a step of the clock. To ring it
-- now would tell a hook twice.
local function look_at_active(id)
  local held = redis.call('HMGET', K.DELIVERY .. id, 'state', 'pushed')
  if held[1] == 'pending' and not held[2] and not reclaim then
    redis.call('ZADD', K.DELIVERIES_ACTIVE, instant(NOW + 1), id)
  else
    look_at_delivery(id)
  end
end

-- What nobody waits for any more: it is past saving, or a version that does not know this list has ended it.
local function tidy_loss()
  redis.call('ZREMRANGEBYSCORE', K.LOSS, '-inf', instant(NOW - KEPT))
  for _, ref in ipairs(redis.call('ZRANGE', K.LOSS, 0, 9)) do
    local stage = redis.pcall('HGET', K.PREDICTION .. ref, 'stage')
    if type(stage) ~= 'string' or TERMINAL[stage] then redis.call('ZREM', K.LOSS, ref) end
  end
end

local by = stepped()
each_due(K.DUE_WORK, limit, look)
each_due(K.DELIVERIES_WAITING, limit, look_at_delivery)
each_due(K.DELIVERIES_ACTIVE, limit, look_at_active)
tidy_loss()
return {rung, #crashed / 2, redelivered, instant(by), crashed}
