-- For how long the oldest of each kind has been waiting beyond its due time, and how each hook stands.
-- ARGV[3…] names of hooks. Returns JSON: {{awaited, accepted, working, delivery: seconds}, [[parked, disabled, failing seconds]]}.
-- Only the first of each list are looked at: they are in the order of their due times.
local LOOKED_AT = 64
local oldest = {awaited = 0, accepted = 0, working = 0, delivery = 0}
local function waits(kind, since)
  since = tonumber(since)
  if since and oldest[kind] then oldest[kind] = math.max(oldest[kind], NOW - since) end
end

local function first(set) return redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')[2] end
waits('awaited', first(K.DUE_POLL))
waits('delivery', first(K.DELIVERIES_WAITING))
waits('delivery', first(K.DELIVERIES_ACTIVE))
local work = redis.call('ZRANGE', K.DUE_WORK, 0, LOOKED_AT - 1, 'WITHSCORES')
for i = 1, #work, 2 do
  local stage = redis.pcall('HGET', K.PREDICTION .. work[i], 'stage')
  if type(stage) == 'string' then waits(stage, work[i + 1]) end
end
-- The sweeper keeps looking after what is queued, so that its due time is always young; the queue knows better.
for _, id in ipairs(redis.call('LRANGE', RQ.queue, 0, LOOKED_AT - 1)) do
  local pushed_at = redis.pcall('HGET', RQ.job .. id, 'pushed_at')
  if type(pushed_at) == 'string' then waits(string.sub(id, 1, 2) == 'd-' and 'delivery' or 'accepted', pushed_at) end
end

local hooks = {}
for i = 3, #ARGV do
  local held = redis.call('HMGET', K.HOOK .. ARGV[i], 'disabled', 'failing_since')
  local failing = held[2] and math.max(0, NOW - tonumber(held[2])) or 0
  hooks[#hooks + 1] = {redis.call('SCARD', K.DELIVERIES_PARKED .. ARGV[i]), held[1] and true or false, failing}
end
return cjson.encode({oldest, #hooks > 0 and hooks or cjson.decode('[]')})
