-- Take ended predictions that are due for their compact form; each comes again after AGAIN seconds, should it not get it.
-- ARGV[3] seconds since their end, [4] the most to take. Returns their source:id.
local AGAIN = 600
-- Bytes of all taken together, but for the last one: they have to be read within one deadline.
local SIZE_MOST = 1048576
local after = tonumber(ARGV[3])
local taken, size = {}, 0

for _, ref in ipairs(redis.call('ZRANGEBYSCORE', K.SETTLED, '-inf', instant(NOW - after), 'LIMIT', 0, ARGV[4])) do
  local key = K.PREDICTION .. ref
  -- First, so that a full server takes it: what is compact makes room.
  redis.call('ZREM', K.SETTLED, ref)
  if TERMINAL[redis.call('HGET', key, 'stage') or ''] then
    redis.call('ZADD', K.SETTLED, instant(NOW - after + AGAIN), ref)
    taken[#taken + 1] = ref
    size = size + redis.call('HSTRLEN', key, 'payload') + 3 * redis.call('HSTRLEN', key, 'outputs')
    if size > SIZE_MOST then break end
  end
end
return taken
