-- Tell again under new event ids: the same bodies to the same hooks, each body once to each. ARGV[3] source:id,
-- [4] the run that it is a member of or '', [5] its number there, [6] a JSON of
-- [{from: delivery id, event_id, id: delivery id}].
-- Returns how many new deliveries ring, 'compact' (nothing is done before it is restored), or 'over', when it has had
-- its turn in the run.
local ref, run, turn = ARGV[3], ARGV[4], ARGV[5]
if not has_turn(run, turn) then return 'over' end
if redis.call('HEXISTS', K.PREDICTION .. ref, 'lives') == 1 then return 'compact' end

local told, rung = {}, 0
for _, new in ipairs(cjson.decode(ARGV[6])) do
  local from = redis.call('HMGET', K.DELIVERY .. new.from, 'event_id', 'event', 'hook', 'created_at')
  local body = from[1] and redis.call('HGET', K.EVENTS .. ref, from[1])
  local once = body and from[3] .. ' ' .. body
  if body and not told[once] then
    told[once] = true
    redis.call('HSET', K.EVENTS .. ref, new.event_id, body)
    deliver_first(ref, new.event_id, from[2], new.id, from[3])
    rung = rung + 1
  end
end
if rung > 0 then
  note(ref, 'replayed', 'from deliver, with new event ids')
  redis.call('ZADD', K.SETTLED, instant(NOW), ref)
  turn_over(run, ref, 'done')
else
  turn_over(run, ref, 'skipped', 'has no delivery')
end
return rung
