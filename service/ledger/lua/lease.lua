-- Take a prediction: accepted → working, under a new token. ARGV[3] source:id, [4] lease seconds, [5] worker name,
-- [6] a nonce: asking again after a lost answer returns the same lease instead of burning it.
-- Returns the record and its lines, or nothing when there is nothing to take (done already, taken by another, unknown).
local ref, seconds, worker, nonce = ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local key = K.PREDICTION .. ref
local held = redis.call('HMGET', key, 'stage', 'claim', 'crashes', 'pushed')
local function whole() return {redis.call('HGETALL', key), redis.call('LRANGE', K.TIMELINE .. ref, 0, -1)} end
if held[1] == 'working' and held[2] == nonce then return whole() end
if held[1] ~= 'accepted' then return false end
-- Not rung: it waits for its next attempt, and this job is one too many from before the last.
if not held[4] then return false end
move(ref, 'accepted', 'working')
-- New with every lease: whoever held one before commits nothing, neither before this one nor after it.
redis.call('HINCRBY', key, 'token', 1)
redis.call('HINCRBY', key, 'attempts', 1)
redis.call('HSET', key, 'lease_until', instant(NOW + seconds), 'worker', worker, 'claim', nonce)
redis.call('HDEL', key, 'pushed', 'alone')
-- In flight in two crashes: a suspect, which runs alone from now on so that it condemns only itself.
if tonumber(held[3] or '0') >= 2 then redis.call('HSET', key, 'alone', 1) end
redis.call('ZADD', K.DUE_WORK, instant(NOW + seconds), ref)
note(ref, 'leased', worker)
return whole()
