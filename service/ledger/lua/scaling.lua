-- How much there is to do, on the clock of the due times. Returns waiting, working, awaited, polls due, deliveries due,
-- and as texts for how many seconds the oldest due thing has been waiting, and in how many the next outputs will be deleted
-- of what waits longer than a moment ('' when nothing does).
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

local next_loss = redis.call('ZRANGEBYSCORE', K.LOSS, '(' .. instant(NOW - KEPT), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]

local function due(set) return redis.call('ZCOUNT', set, '-inf', instant(NOW)) end

return {
  redis.call('ZCARD', K.STAGE .. 'accepted'),
  redis.call('ZCARD', K.STAGE .. 'working'),
  redis.call('ZCARD', K.STAGE .. 'awaited'),
  due(K.DUE_POLL),
  redis.call('ZCARD', K.DELIVERIES_ACTIVE) + due(K.DELIVERIES_WAITING),
  instant(oldest),
  next_loss and instant(tonumber(next_loss) + KEPT - NOW) or '',
}
