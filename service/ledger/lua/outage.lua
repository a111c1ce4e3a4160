-- How a hook stands. ARGV[3] its name.
-- Returns {when it began to fail, for how many seconds it has, the highest threshold that was told of or 0}, or nothing
-- when it does not fail, or is disabled: then nothing is attempted.
local held = redis.call('HMGET', K.HOOK .. ARGV[3], 'failing_since', 'noticed', 'disabled')
if not held[1] or held[3] then return false end
return {held[1], instant(NOW - tonumber(held[1])), tonumber(held[2] or 0)}
