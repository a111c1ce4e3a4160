-- Put a moderation policy in force. ARGV[3] its words, [4] who. Returns those of the one before, when they are others.
local last = redis.call('LINDEX', K.POLICIES, 0)
local before = last and cjson.decode(last).policy
if before == ARGV[3] then return false end
redis.call('LPUSH', K.POLICIES, cjson.encode({policy = ARGV[3], by = ARGV[4], at = NOW}))
redis.call('LTRIM', K.POLICIES, 0, 99)
return before or false
