-- Give ended predictions back to work whose payloads are past their retention: a worker drops them. They are found by when
-- they expire, which is so long after their end: no set has a place for it, and a mark says how far we are.
-- ARGV[3] seconds that payloads stay, [4] the retention of predictions in seconds, [5] the most to look at.
-- Returns how many it looked at, how many were given, and the source:id of those that are compact: then nothing was done,
-- they have to be restored first.
local lives, retention = tonumber(ARGV[3]), tonumber(ARGV[4])
local from = '(' .. (redis.call('GET', K.PAYLOADS) or '-inf')
if from == '(-inf' then from = '-inf' end
local rows = redis.call('ZRANGEBYSCORE', K.EXPIRY, from, instant(NOW + retention - lives), 'WITHSCORES', 'LIMIT', 0, ARGV[5])
if #rows == 0 then return {0, 0, {}} end

-- Whatever ends at the very instant of the last is looked at with it: the mark knows instants only.
local last, first_of_last = rows[#rows], #rows - 1
while first_of_last > 1 and rows[first_of_last - 1] == last do first_of_last = first_of_last - 2 end
for _, ref in ipairs(redis.call('ZRANGEBYSCORE', K.EXPIRY, last, last)) do
  rows[first_of_last], rows[first_of_last + 1] = ref, last
  first_of_last = first_of_last + 2
end

local compact = {}
for i = 1, #rows, 2 do
  local held = redis.call('HMGET', K.PREDICTION .. rows[i], 'lives', 'payload_dropped_at')
  if held[1] and not held[2] then compact[#compact + 1] = rows[i] end
end
if #compact > 0 then return {#compact, 0, compact} end

local looked, given, mark_at = 0, 0, nil
for i = 1, #rows, 2 do
  local ref, key = rows[i], K.PREDICTION .. rows[i]
  local held = redis.call('HMGET', key, 'stage', 'reason', 'error', 'finished_at', 'payload_dropped_at')
  if TERMINAL[held[1] or ''] and not held[5] then
    local finished_at = tonumber(held[4] or '') or 0
    -- The retention was shorter when it ended: it is not as old as it looks.
    if finished_at + lives > NOW then
      if mark_at == rows[i + 1] then mark_at = nil end
      break
    end
    back_to_work(ref, held[1])
    redis.call('HSET', key, 'prune', cjson.encode({payload = lives}), 'was', cjson.encode({stage = held[1],
      reason = held[2] or '', error = held[3] or '', finished_at = held[4] or instant(NOW), expires = rows[i + 1]}))
    given = given + 1
  end
  looked, mark_at = looked + 1, rows[i + 1]
end
if mark_at then redis.call('SET', K.PAYLOADS, mark_at) end
return {looked, given, {}}
