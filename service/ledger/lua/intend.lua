-- Write down an intent to submit. ARGV[3] key, [4] text, which no other has, [5] instant, [6] seconds to keep it.
-- Returns nothing, or the text of the earlier intent of that key.
local name, text = K.INTENT .. ARGV[3], ARGV[4]
redis.call('ZREMRANGEBYSCORE', K.INTENTS_OPEN, '-inf', instant(NOW - tonumber(ARGV[6])))
redis.call('ZREMRANGEBYSCORE', K.INTENTS, '-inf', instant(NOW - tonumber(ARGV[6])))
local earlier = redis.call('GET', name)
-- The same text is our own, asked again after a lost answer.
if earlier and earlier ~= text then return earlier end
if is_crowded() then return redis.error_reply(FULL) end
redis.call('SET', name, text, 'EX', ARGV[6])
redis.call('ZADD', K.INTENTS_OPEN, ARGV[5], ARGV[3])
redis.call('ZADD', K.INTENTS, instant(NOW), ARGV[3])
return false
