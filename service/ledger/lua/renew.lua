-- Renew leases. ARGV[3] seconds, then pairs of source:id and token. Returns the refs whose lease is no longer ours.
local seconds = tonumber(ARGV[3])
local lost = {}
for i = 4, #ARGV, 2 do
  local ref, token = ARGV[i], ARGV[i + 1]
  local key = K.PREDICTION .. ref
  local held = redis.call('HMGET', key, 'stage', 'token')
  if held[1] == 'working' and held[2] == token then
    redis.call('HSET', key, 'lease_until', instant(NOW + seconds))
    redis.call('ZADD', K.DUE_WORK, instant(NOW + seconds), ref)
  else
    lost[#lost + 1] = ref
  end
end
return lost
