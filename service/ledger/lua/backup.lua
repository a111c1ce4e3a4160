-- Everything of the next predictions in the order of the lists, each as it is at one moment. ARGV[3] the sequence number
-- after which to go on, [4] the most to take, [5] bytes after which no further one is taken.
-- Returns for each {source:id, sequence, hash, milliseconds it lives, lines, events, scores in SETS, deliveries}, and for
-- each delivery {id, hash, milliseconds it lives, scores in DELIVERY_SETS}; or {source:id, sequence} for a corrupt one.
local SETS = {K.EXPIRY, K.SETTLED, K.REVIEW, K.LOSS, K.KEPT_HELD, K.KEPT_REJECTED, K.DUE_WORK, K.DUE_POLL}
local DELIVERY_SETS = {K.DELIVERIES, K.DELIVERIES_WAITING, K.DELIVERIES_ACTIVE}
local most, bytes, size = tonumber(ARGV[4]), tonumber(ARGV[5]), 0

local function counted(list)
  for _, text in ipairs(list) do size = size + #text end
  return list
end

local function scores(sets, name)
  local found = {}
  for i, set in ipairs(sets) do found[i] = redis.call('ZSCORE', set, name) end
  return found
end

local function deliveries_of(ref, fields)
  local found = {}
  local function add(id)
    local key = K.DELIVERY .. id
    found[#found + 1] =
      {id, counted(redis.call('HGETALL', key)), redis.call('PTTL', key), scores(DELIVERY_SETS, id)}
  end
  for _, id in ipairs(redis.call('SMEMBERS', K.OUTBOX .. ref)) do add(id) end
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 4) == 'dlv_' then add(fields[i]) end
  end
  return found
end

local function whole(ref, sequence)
  local key = K.PREDICTION .. ref
  local fields = counted(redis.call('HGETALL', key))
  return {ref, sequence, fields, redis.call('PTTL', key), counted(redis.call('LRANGE', K.TIMELINE .. ref, 0, -1)),
    counted(redis.call('HGETALL', K.EVENTS .. ref)), scores(SETS, ref), deliveries_of(ref, fields)}
end

local rows = redis.call('ZRANGEBYSCORE', K.INDEX, '(' .. ARGV[3], '+inf', 'WITHSCORES', 'LIMIT', 0, most)
local taken = {}
for i = 1, #rows, 2 do
  local fine, one = pcall(whole, rows[i], rows[i + 1])
  taken[#taken + 1] = fine and one or {rows[i], rows[i + 1]}
  if size > bytes then break end
end
return taken
