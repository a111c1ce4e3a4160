-- Forget what is past its retention: the record, its lines, its deliveries and their places in every list.
-- ARGV[3] the most to forget. Returns how many went.
local gone = 0

local function deliveries_of(ref)
  local ids = redis.call('SMEMBERS', K.OUTBOX .. ref)
  if redis.call('HEXISTS', K.PREDICTION .. ref, 'lives') == 1 then
    local fields = redis.call('HGETALL', K.PREDICTION .. ref)
    for i = 1, #fields, 2 do
      if string.sub(fields[i], 1, 4) == 'dlv_' then ids[#ids + 1] = fields[i] end
    end
  end
  return ids
end

-- Words have all their blocks from here on: from the first prediction, or from an hour after an update from a version
-- that did not write any. Until then one of that version may still be at work.
local SETTLES = 3600
local function mark_from()
  local sequence = redis.call('GET', K.SEQUENCE)
  local settles = tonumber(redis.call('HGET', K.MARKED, 'settles'))
  if not settles then
    settles = sequence and NOW + SETTLES or NOW
    redis.call('HSET', K.MARKED, 'settles', instant(settles), 'from', sequence or 0)
  elseif NOW < settles then
    redis.call('HSET', K.MARKED, 'from', sequence or 0)
  end
end

-- Blocks below the oldest prediction, of so many words at a time: next time of those that follow.
local WORDS_AT_ONCE = 50
local function forget_blocks()
  local oldest = redis.call('ZRANGE', K.INDEX, 0, 0, 'WITHSCORES')[2]
  local lowest = oldest and math.floor(tonumber(oldest) / BLOCK) or '+inf'
  local from = redis.call('HGET', K.MARKED, 'turn')
  local words = redis.call('ZRANGE', K.WORDS, from and '(' .. from or '-', '+', 'BYLEX', 'LIMIT', 0, WORDS_AT_ONCE)
  for _, word in ipairs(words) do
    redis.call('ZREMRANGEBYSCORE', K.WORD .. word, '-inf', '(' .. lowest)
    if redis.call('EXISTS', K.WORD .. word) == 0 then redis.call('ZREM', K.WORDS, word) end
  end
  if #words == WORDS_AT_ONCE then
    redis.call('HSET', K.MARKED, 'turn', words[#words])
  else
    redis.call('HDEL', K.MARKED, 'turn')
  end
end

each_due(K.EXPIRY, tonumber(ARGV[3]), function(ref)
  redis.call('ZREM', K.EXPIRY, ref)
  redis.call('ZREM', K.SETTLED, ref)
  for _, id in ipairs(deliveries_of(ref)) do
    local hook = redis.call('HGET', K.DELIVERY .. id, 'hook')
    if hook then redis.call('SREM', K.DELIVERIES_PARKED .. hook, id) end
    for _, set in ipairs({K.DELIVERIES, K.DELIVERIES_WAITING, K.DELIVERIES_ACTIVE}) do redis.call('ZREM', set, id) end
    redis.call('DEL', K.DELIVERY .. id)
  end
  for _, prefix in ipairs(OF_PREDICTION) do redis.call('DEL', prefix .. ref) end
  for _, set in ipairs({K.INDEX, K.REVIEW, K.KEPT_HELD, K.KEPT_REJECTED}) do redis.call('ZREM', set, ref) end
  for stage in pairs(TERMINAL) do redis.call('ZREM', K.STAGE .. stage, ref) end
  gone = gone + 1
end)
mark_from()
forget_blocks()
return gone
