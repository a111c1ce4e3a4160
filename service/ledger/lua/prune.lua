-- Give ended predictions back to work whose held or rejected files are past their retention: a worker deletes them.
-- ARGV[3] held | rejected, [4] seconds that such files stay, [5] the most to give.
-- Returns how many, and the source:id of those that are compact: they have to be restored first.
local kind, lives = ARGV[3], tonumber(ARGV[4])
local set = kind == 'held' and K.KEPT_HELD or K.KEPT_REJECTED
local given, compact = 0, {}

for _, ref in ipairs(redis.call('ZRANGEBYSCORE', set, '-inf', instant(NOW - lives), 'LIMIT', 0, ARGV[5])) do
  local key = K.PREDICTION .. ref
  local held = redis.call('HMGET', key, 'stage', 'reason', 'error', 'finished_at', 'lives')
  if TERMINAL[held[1] or ''] and held[5] then
    compact[#compact + 1] = ref
  else
    -- The commit that ends its work writes it again, should a file be left.
    redis.call('ZREM', set, ref)
    if TERMINAL[held[1] or ''] then
      back_to_work(ref, held[1])
      redis.call('HSET', key, 'prune', cjson.encode({[kind] = lives}), 'was', cjson.encode(
        {stage = held[1], reason = held[2] or '', error = held[3] or '', finished_at = held[4] or instant(NOW)}))
      given = given + 1
    end
  end
end
return {given, compact}
