-- Write down one attempt of a delivery, compare-and-set on its token.
-- ARGV[3] id, [4] token, [5] state entered, or 'parked': pending until its hook takes something, [6] HTTP status or '',
-- [7] error or '', [8] seconds until the next attempt (pending only), [9] 1 when it counts as an attempt, 2 when it was
-- one that uses up nothing of the schedule (a probe), 0 when none was made (and the error, if any, says why), [10] 1 when
-- the hook is to be disabled, [11] retention, [12] milliseconds that the attempt took, [13] the beginning of the answer,
-- [14] the upper end of the step of time that it counts for, [15] one word for its trouble, if it failed, or ''.
-- For a hook that is a stream, state is delivered, and the event is written to it here, so that it is written once for
-- each time that it is delivered: [16] the stream's key, [17] the most entries of that.
-- Returns 1, or 0 when another holds it, or as a text why the stream does not take it: then nothing is done.
local id, token, state, status, failure = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local key = K.DELIVERY .. id
local held = redis.call('HMGET', key, 'state', 'token', 'hook', 'ref', 'event')
if held[1] ~= 'pending' or held[2] ~= token then return 0 end
local hook, ref = K.HOOK .. held[3], held[4]

if ARGV[16] then
  local event_id = redis.call('HGET', key, 'event_id')
  local body = redis.call('HGET', K.EVENTS .. ref, event_id)
  local added = redis.pcall('XADD', ARGV[16], 'MAXLEN', ARGV[17], '*', 'id', event_id, 'type', held[5], 'body', body)
  if type(added) == 'table' then
    if cannot_write(added) then error(added) end
    return added.err
  end
  status = 'written to the stream'
end

-- Each attempt is a field of its own, a list of when it began, status, milliseconds, and for most failures also error,
-- answer, and whether it was a probe. The oldest go.
local TRIES_MOST = 20
local function put_on_record()
  local took, answer = tonumber(ARGV[12]), ARGV[13]
  local try = {NOW - took / 1000, tonumber(status) or 0, took}
  if failure ~= '' or answer ~= '' then try[4], try[5] = failure, answer end
  if ARGV[9] == '2' then try[4], try[5], try[6] = failure, answer, 1 end
  local n = redis.call('HINCRBY', key, 'tries', 1)
  redis.call('HSET', key, 'last_status', ARGV[6], 'error', failure, 'try:' .. n, cjson.encode(try))
  if n > TRIES_MOST then redis.call('HDEL', key, 'try:' .. n - TRIES_MOST) end
end

-- The hook's hours, each counted in a hash of its own (`ledger/hooks.py`). Words are bounded: a hook chooses its status.
local HOUR_LIVES, TROUBLES_MOST = 176400, 20
local trouble = ARGV[15] ~= '' and ARGV[15] or 'other'
local function count_for_hour()
  local hour, took = K.HOOK_HOUR .. math.floor(NOW / 3600) .. ':' .. held[3], 'took:' .. ARGV[14]
  if redis.call('HINCRBY', hour, took, 1) == 1 then redis.call('EXPIRE', hour, HOUR_LIVES) end
  redis.call('HINCRBY', hour, 'ms', ARGV[12])
  if state == 'delivered' then return end
  local word = 'failed:' .. trouble
  local known = redis.call('HMGET', hour, word, 'troubles')
  if not known[1] then
    if tonumber(known[2] or 0) >= TROUBLES_MOST then
      word = 'failed:other'
    else
      redis.call('HINCRBY', hour, 'troubles', 1)
    end
  end
  redis.call('HINCRBY', hour, word, 1)
end

-- A row of failures begins with `failing_since`: who ended the one before may not have known of the count.
local function hook_failed()
  if redis.call('HSETNX', hook, 'failing_since', instant(NOW)) == 1 then redis.call('HDEL', hook, 'in_a_row') end
  redis.call('HINCRBY', hook, 'in_a_row', 1)
  redis.call('HSET', hook, 'failing_with', trouble)
end

-- What waits for a hook that was down rings as the hook takes it: at first a few.
local RELEASE = 10
local function release()
  if redis.call('SCARD', K.DELIVERIES_PARKED .. held[3]) == 0 or redis.call('HEXISTS', hook, 'disabled') == 1 then
    return
  end
  for _, parked in ipairs(redis.call('SPOP', K.DELIVERIES_PARKED .. held[3], RELEASE)) do
    if redis.call('HGET', K.DELIVERY .. parked, 'state') == 'pending' then ring_deliver(parked) end
  end
end

if ARGV[9] == '0' and failure ~= '' then
  redis.call('HSET', key, 'error', failure)
  mark('delivery.err', 'any', sequence_of(key))
elseif ARGV[9] ~= '0' then
  put_on_record()
  if failure ~= '' then mark('delivery.err', 'any', sequence_of(key)) end
  count('delivery_attempts')
  count_for_hour()
  if state == 'delivered' then
    redis.call('HDEL', hook, 'failing_since', 'noticed', 'in_a_row', 'failing_with')
  else
    redis.call('HSETNX', key, 'failing_since', instant(NOW))
    hook_failed()
  end
end
if ARGV[9] == '1' then redis.call('HINCRBY', key, 'attempts', 1) end
redis.call('ZREM', K.DELIVERIES_ACTIVE, id)
if state == 'parked' then
  redis.call('SADD', K.DELIVERIES_PARKED .. held[3], id)
elseif state == 'pending' then
  local at = instant(NOW + tonumber(ARGV[8]))
  redis.call('HSET', key, 'next_attempt_at', at)
  redis.call('ZADD', K.DELIVERIES_WAITING, at, id)
else
  redis.call('HSET', key, 'state', state)
  redis.call('EXPIRE', key, tonumber(ARGV[11]) + 86400)
  count('deliveries_' .. state)
  if state == 'dead' then mark('delivery.state', state, sequence_of(key)) end
  note(ref, 'delivered', held[3] .. ' ' .. held[5] .. ': ' .. (state == 'dead' and 'dead, ' .. failure or status))
  if state == 'delivered' then release() end
end
if ARGV[10] == '1' then
  redis.call('HSET', hook, 'disabled', instant(NOW), 'why', failure)
end
return 1
