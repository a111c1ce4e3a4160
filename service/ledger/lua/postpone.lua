-- Put off what is accepted, without a lease. ARGV[3] source:id, [4] seconds, [5] why.
-- Returns 1, or 0 when it is not there to be taken.
local ref = ARGV[3]
local key = K.PREDICTION .. ref
local held = redis.call('HMGET', key, 'stage', 'pushed')
if held[1] ~= 'accepted' or not held[2] then return 0 end
-- As with what is queued: the more there is, the less often, by a second for so many.
local wait = tonumber(ARGV[4]) + redis.call('ZCARD', K.STAGE .. 'accepted') / GUARD_JOBS
redis.call('HDEL', key, 'pushed')
redis.call('HSET', key, 'error', ARGV[5])
mark('err', 'any', sequence_of(key))
redis.call('ZADD', K.DUE_WORK, instant(NOW + wait), ref)
return 1
