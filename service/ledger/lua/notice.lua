-- Tell of a threshold of a hook's failure budget, once in an outage.
-- ARGV[3] the hook's name, [4] when it began to fail, [5] the threshold in per cent, [6] retention, [7] a JSON of the
-- event: {id, kind, body, deliveries: [{id, hook}]}.
-- Returns 1, or 0 when that is told of, or the outage is over or another.
local key, percent, event = K.HOOK .. ARGV[3], tonumber(ARGV[5]), cjson.decode(ARGV[7])
local held = redis.call('HMGET', key, 'failing_since', 'noticed', 'disabled')
if held[1] ~= ARGV[4] or held[3] or tonumber(held[2] or 0) >= percent then return 0 end
redis.call('HSET', key, 'noticed', percent)
if #event.deliveries == 0 then return 1 end

-- It is no prediction's: what belongs to it lives and goes under a name that no prediction can have.
local ref = ':' .. event.id
redis.call('HSET', K.EVENTS .. ref, event.id, event.body)
note(ref, 'event', event.kind)
count('events')
for _, delivery in ipairs(event.deliveries) do
  deliver_first(ref, event.id, event.kind, delivery.id, delivery.hook)
end
age(ref, tonumber(ARGV[6]))
return 1
