-- Leave a stage, compare-and-set on (stage, token); with it go the outputs, the timeline and the outbox.
-- ARGV[3] source:id, [4] stage left, [5] token or '' (awaited has none), [6] stage entered, [7] JSON of the rest:
--   fields   {name: text}            written to the record
--   notes    [[step, detail, seconds ago]]  added to the timeline
--   events   [{id, kind, body, deliveries: [{id, hook}]}]
--   held     true or false: is any output held (terminal only); neither leaves that as it is
--   due_in   seconds until the next attempt; 0 rings at once     (accepted only)
--   retention seconds                                            (terminal only)
--   counts   {name: number}          added to the tally
-- Returns 1, or 0 when the compare failed: someone else moved it, and this commit changed nothing.
local ref, from, token, to = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local what = cjson.decode(ARGV[7])
local key = K.PREDICTION .. ref
local held = redis.call('HMGET', key, 'stage', 'token', 'redeliver', 'was', 'sequence')
if held[1] ~= from or (token ~= '' and held[2] ~= token) then return 0 end

-- An event that was sent before is sent again only by a replay.
local function send(event)
  if redis.call('HSETNX', K.EVENTS .. ref, event.id, event.body) == 1 then
    note(ref, 'event', event.kind)
    count('events')
  elseif held[3] then
    redis.call('HSET', K.EVENTS .. ref, event.id, event.body)
  else
    return
  end
  for _, delivery in ipairs(event.deliveries) do
    -- In a burst its hook would else hear of it when all of the burst is done.
    deliver_first(ref, event.id, event.kind, delivery.id, delivery.hook, true)
  end
end

for name, n in pairs(what.counts or {}) do count(name, n) end
for name, value in pairs(what.fields) do redis.call('HSET', key, name, value) end
redis.call('HDEL', key, 'lease_until')
move(ref, from, to)
local outputs = what.fields.outputs
if (what.fields.reason or '') ~= '' or (what.fields.error or '') ~= ''
  or (outputs and string.find(outputs, '"error":"', 1, true)) then mark('err', 'any', held[5]) end
for _, line in ipairs(what.notes) do note(ref, line[1], line[2], NOW - line[3]) end
if TERMINAL[to] then
  -- A review changes outputs, and not when and how the prediction ended.
  local was = held[4] and cjson.decode(held[4])
  redis.call('HSET', key, 'finished_at', was and was.finished_at or instant(NOW))
  redis.call('ZREM', K.DUE_WORK, ref)
  redis.call('ZREM', K.DUE_POLL, ref)
  redis.call('ZREM', K.LOSS, ref)
  note(ref, 'committed', to)
  for _, event in ipairs(what.events) do send(event) end
  redis.call('HDEL', key, 'redeliver', 'crashes', 'crashes_alone', 'was', 'prune')
  if what.held == true then
    redis.call('ZADD', K.REVIEW, redis.call('HGET', key, 'sequence'), ref)
  elseif what.held == false then
    redis.call('ZREM', K.REVIEW, ref)
  end
  for name, set in pairs({held = K.KEPT_HELD, rejected = K.KEPT_REJECTED}) do
    local since = type(what.kept) == 'table' and what.kept[name]
    if since then redis.call('ZADD', set, instant(since), ref) elseif since == false and was then redis.call('ZREM', set, ref) end
  end
  -- Without its payload it lives no longer than with it, and it is not looked at again.
  local kept = was and was.expires and (what.fields.payload_dropped_at or not outputs)
  age(ref, kept and math.max(math.floor(tonumber(was.expires) - NOW), 60) or what.retention)
  redis.call('ZADD', K.SETTLED, instant(NOW), ref)
  if not was then count('stage_' .. to) end
elseif what.due_in > 0 then
  redis.call('ZADD', K.DUE_WORK, instant(NOW + what.due_in), ref)
else
  ring_process(ref)
end
return 1
