-- How much there is to do, on the clock of the due times. Returns waiting, working, awaited, polls due, deliveries due,
-- and as text for how many seconds the oldest due thing has been waiting.
local function lateness(since) return math.max(0, NOW - since) end

local oldest = 0
for _, set in ipairs({K.DUE_WORK, K.DUE_POLL, K.DELIVERIES_WAITING, K.DELIVERIES_ACTIVE}) do
  local first = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
  if first[2] then oldest = math.max(oldest, lateness(tonumber(first[2]))) end
end
-- The sweeper keeps looking after what is queued, so that its due time is always young; the queue's head knows better.
local head = redis.call('LINDEX', RQ.queue, 0)
local pushed_at = head and redis.pcall('HGET', RQ.job .. head, 'pushed_at')
if type(pushed_at) == 'string' then oldest = math.max(oldest, lateness(tonumber(pushed_at) or NOW)) end

local function due(set) return redis.call('ZCOUNT', set, '-inf', instant(NOW)) end

return {
  redis.call('ZCARD', K.STAGE .. 'accepted'),
  redis.call('ZCARD', K.STAGE .. 'working'),
  redis.call('ZCARD', K.STAGE .. 'awaited'),
  due(K.DUE_POLL),
  redis.call('ZCARD', K.DELIVERIES_ACTIVE) + due(K.DELIVERIES_WAITING),
  instant(oldest),
}
