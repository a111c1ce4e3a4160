-- Take awaited predictions that are due for a poll, and set when each is next due, so that no two sweepers ask twice.
-- ARGV[3] the most to take, [4] first wait, [5] growth, [6] longest wait. Returns pairs of source:id and known_at.
local limit, first, growth, longest = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local taken = {}

each_due(K.DUE_POLL, limit, function(ref)
  local key = K.PREDICTION .. ref
  local held = redis.call('HMGET', key, 'stage', 'known_at', 'polls', 'created_at')
  if held[1] == 'awaited' then
    redis.call('HINCRBY', key, 'polls', 1)
    local wait = math.min(first * growth ^ math.min(tonumber(held[3]), 60), longest)
    redis.call('ZADD', K.DUE_POLL, instant(NOW + wait), ref)
    watch_loss(ref, held[4], held[2])
    taken[#taken + 1] = ref
    taken[#taken + 1] = held[2]
  else
    redis.call('ZREM', K.DUE_POLL, ref)
  end
end)
return taken
