-- In front of every script: the clock, and the few moves that all of them are made of.
-- ARGV[1] is a virtual now in seconds (tests) or '' for the server's own clock: one clock for all processes.
-- ARGV[2] is the caller's now as RFC 3339; only RQ's job hashes show it, for `rq info`.

local function clock()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local t = redis.call('TIME')
  return tonumber(t[1]) + math.floor(tonumber(t[2]) / 1000) / 1000
end
local NOW = clock()
local NOW_ISO = ARGV[2]

-- A job waiting in the queue is looked after this often, in seconds: was it lost? In a long queue less often, by a
-- second for so many jobs: looking must not outrun working.
local GUARD, GUARD_JOBS = 5, 500

-- The provider deletes outputs so many seconds after it created their prediction. What it deletes within URGENT_WITHIN is
-- worked on before all else; what it has deleted has no hurry any more.
local KEPT = 604800
local function is_urgent(born)
  local left = (tonumber(born) or NOW) + KEPT - NOW
  return left > 0 and left < URGENT_WITHIN
end

local TERMINAL = {done = true, failed = true, expired = true, dead = true}
-- What lives and ages with a prediction.
local OF_PREDICTION = {K.PREDICTION, K.TIMELINE, K.OUTBOX, K.EVENTS}

local DETAIL_MOST, LINES_MOST = 500, 400

local function instant(seconds) return string.format('%.3f', seconds) end

local function split(ref)
  local colon = string.find(ref, ':', 1, true)
  return string.sub(ref, 1, colon - 1), string.sub(ref, colon + 1)
end

local function line(step, detail, at)
  detail = detail or ''
  if #detail > DETAIL_MOST then
    -- Cut between characters: half of one would make the whole line unreadable.
    detail = string.gsub(string.sub(detail, 1, DETAIL_MOST), '[\192-\255]?[\128-\191]*$', '') .. '…'
  end
  return cjson.encode({at = at or NOW, step = step, detail = detail})
end

local function write_lines(ref, ...)
  local lines = redis.call('RPUSH', K.TIMELINE .. ref, ...)
  if lines > LINES_MOST then redis.call('LTRIM', K.TIMELINE .. ref, -LINES_MOST, -1) end
end

local function note(ref, step, detail, at) write_lines(ref, line(step, detail, at)) end

local function count(name, n) redis.call('HINCRBY', K.TALLY, name, n or 1) end

local FULL = 'FULL no new work above ' .. ADMIT_BELOW * 100 .. ' % of maxmemory'

local crowded
local function is_crowded()
  if crowded == nil then
    local memory = redis.pcall('INFO', 'memory')
    local text = type(memory) == 'string' and memory or ''
    local most = tonumber(string.match(text, 'maxmemory:(%d+)')) or 0
    local used = tonumber(string.match(text, 'used_memory:(%d+)')) or 0
    crowded = most > 0 and used > ADMIT_BELOW * most
  end
  return crowded
end

local function why(failure) return type(failure) == 'table' and failure.err or tostring(failure) end

-- Did the server say that it cannot write now, or (in the words of 7.0 and before, and of later ones) that our user may
-- not? Then nothing is wrong with the entry, and it keeps its place.
local CANNOT = {'OOM', 'MISCONF', 'READONLY', 'NOREPLICAS', 'user executing the script', 'ACL failure in script'}
local function cannot_write(failure)
  for _, word in ipairs(CANNOT) do
    if string.find(why(failure), word, 1, true) then return true end
  end
  return false
end

-- Call look(name) for what is due in a sorted set, oldest first. A corrupt entry is set aside with its reason: it must
-- not stop what stands behind it.
local function each_due(set, limit, look)
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', set, '-inf', instant(NOW), 'LIMIT', 0, limit)) do
    local fine, failure = pcall(look, name)
    if not fine then
      if cannot_write(failure) then error(failure) end
      redis.call('ZREM', set, name)
      local reason = 'corrupt in the ledger: ' .. why(failure)
      redis.call('LPUSH', K.ASIDE, cjson.encode({job = name, why = reason, at = NOW}))
      redis.call('LTRIM', K.ASIDE, 0, 999)
      redis.call('EXPIRE', K.ASIDE, 604800)
    end
  end
end

local queued
local function next_look()
  queued = queued or redis.call('LLEN', RQ.queue)
  return instant(NOW + GUARD + queued / GUARD_JOBS)
end

-- Numbers that only grow. A script that needs many takes them in one go; those left over are skipped.
local numbers_at_once = 1
local numbers, last_number = 0, 0
local function number()
  if numbers == 0 then
    numbers, last_number = numbers_at_once, redis.call('INCRBY', K.SEQUENCE, numbers_at_once) - numbers_at_once
  end
  numbers, last_number = numbers - 1, last_number + 1
  return last_number
end

-- RQ's list of its queues has to name ours: once in a script is enough.
local listed = false

-- A job as RQ writes it, which calls one of our functions with texts that need no escapes in JSON. `pushed` numbers the
-- jobs in the order of the queue, whatever the clock does meanwhile. What goes before all else has no place in that order,
-- and the number 0.
local function push_job(job_id, template, call, description, first)
  local job, pushed = RQ.job .. job_id, first and 0 or number()
  redis.call('HSET', job, 'data', call, 'description', description, 'created_at', NOW_ISO,
    'enqueued_at', NOW_ISO, 'pushed_at', instant(NOW), 'pushed', pushed, unpack(template))
  redis.call('EXPIRE', job, 604800)
  if not listed then
    redis.call('SADD', RQ.queues, RQ.queue)
    listed = true
  end
  if first then
    queued = redis.call('LPUSH', RQ.queue, job_id)
  else
    queued = redis.call('RPUSH', RQ.queue, job_id)
  end
  return pushed
end

-- The names of the n-th jobs of a prediction and of a delivery.
local function process_job(ref, n) return 'p-' .. string.gsub(ref, ':', '-', 1) .. '-' .. tostring(n) end
local function deliver_job(delivery_id, n) return 'd-' .. delivery_id .. '-' .. tostring(n) end

-- Queue the n-th job of a prediction that was `born` then; its number goes into the record.
local function push_process(ref, n, born)
  local source, id = split(ref)
  redis.call('ZADD', K.DUE_WORK, next_look(), ref)
  return push_job(process_job(ref, n), PROCESS_JOB,
    '["' .. RQ.process .. '",null,["' .. source .. '","' .. id .. '"],{}]', 'process ' .. source .. ' ' .. id,
    is_urgent(born))
end

local function ring_process(ref)
  local key = K.PREDICTION .. ref
  local born = redis.call('HGET', key, 'created_at')
  redis.call('HSET', key, 'pushed', push_process(ref, redis.call('HINCRBY', key, 'rings', 1), born))
end

-- `first`: before all that waits, for somebody waits for it, and it is told in a moment.
local function ring_deliver(delivery_id, first)
  local key = K.DELIVERY .. delivery_id
  local n = redis.call('HINCRBY', key, 'rings', 1)
  local pushed = push_job(deliver_job(delivery_id, n), DELIVER_JOB,
    '["' .. RQ.deliver .. '",null,["' .. delivery_id .. '"],{}]', 'deliver ' .. delivery_id, first)
  redis.call('HSET', key, 'pushed', pushed)
  redis.call('ZREM', K.DELIVERIES_WAITING, delivery_id)
  redis.call('ZADD', K.DELIVERIES_ACTIVE, next_look(), delivery_id)
end

-- From its first attempt on, whatever became of it; who is at it now holds an old token and writes nothing.
local function deliver_anew(delivery_id, first)
  local key = K.DELIVERY .. delivery_id
  redis.call('HSET', key, 'state', 'pending', 'attempts', 0)
  redis.call('HDEL', key, 'last_status', 'error', 'next_attempt_at', 'failing_since')
  redis.call('HINCRBY', key, 'token', 1)
  redis.call('PERSIST', key)
  redis.call('SREM', K.DELIVERIES_PARKED .. redis.call('HGET', key, 'hook'), delivery_id)
  ring_deliver(delivery_id, first)
end

-- A word that lists are searched by: something in this block of sequence numbers has it (`ledger/walking.py`). Told
-- once in a script, and to Redis again only in a block that does not know it.
local BLOCK = 1024
local marked = {}
local function mark(name, value, sequence)
  local word, block = name .. ':' .. value, math.floor(sequence / BLOCK)
  if marked[word] == block then return end
  marked[word] = block
  if redis.call('ZADD', K.WORD .. word, block, block) == 1 then redis.call('ZADD', K.WORDS, 0, word) end
end

-- One delivery of an event for a hook; only the first call makes it, and each sends it, before all else or not.
local function deliver_first(ref, event_id, kind, delivery_id, hook, first)
  if redis.call('EXISTS', K.DELIVERY .. delivery_id) == 0 then
    local sequence = number()
    redis.call('HSET', K.DELIVERY .. delivery_id, 'id', delivery_id, 'event_id', event_id, 'event', kind,
      'ref', ref, 'hook', hook, 'created_at', instant(NOW), 'sequence', sequence)
    redis.call('ZADD', K.DELIVERIES, sequence, delivery_id)
    redis.call('SADD', K.OUTBOX .. ref, delivery_id)
    mark('delivery.hook', hook, sequence)
  end
  deliver_anew(delivery_id, first)
end

-- A bulk run takes its members in their order, each once (`ledger/runs.py`): who asks for one that has had its turn
-- changes nothing. Without a run it is always somebody's turn.
local RUN_LIVES = 604800
local function has_turn(run, turn) return run == '' or redis.call('HGET', K.RUN .. run, 'position') == turn end

local function turn_over(run, member, outcome, why)
  if run == '' then return end
  local key = K.RUN .. run
  if redis.call('HINCRBY', key, 'position', 1) >= tonumber(redis.call('HGET', key, 'total')) then
    redis.call('HSET', key, 'ended_at', instant(NOW))
  end
  redis.call('HINCRBY', key, outcome, 1)
  redis.call('HSET', key, 'beat_at', instant(NOW))
  if outcome ~= 'done' then
    redis.call('RPUSH', K.RUN_LEFT .. run, cjson.encode({member, outcome, why}))
    redis.call('EXPIRE', K.RUN_LEFT .. run, RUN_LIVES)
  end
end

-- Known to wait: by when its outputs will be gone. What is worked on at once never gets here.
local function watch_loss(ref, created, known)
  local born = tonumber(created or '') or tonumber(known or '')
  if born and born + KEPT > NOW then redis.call('ZADD', K.LOSS, instant(born), ref) end
end

local function sequence_of(key) return tonumber(redis.call('HGET', key, 'sequence') or 0) end

local function move(ref, from, to)
  if from ~= to then
    local key = K.PREDICTION .. ref
    local sequence = redis.call('HGET', key, 'sequence')
    redis.call('HSET', key, 'stage', to)
    redis.call('ZREM', K.STAGE .. from, ref)
    redis.call('ZADD', K.STAGE .. to, sequence, ref)
  end
end

-- Nothing terminal lives for ever; what comes back to life stops ageing.
local function age(ref, retention)
  if retention then
    redis.call('ZADD', K.EXPIRY, instant(NOW + retention), ref)
    for _, prefix in ipairs(OF_PREDICTION) do redis.call('EXPIRE', prefix .. ref, retention + 86400) end
  else
    redis.call('ZREM', K.EXPIRY, ref)
    for _, prefix in ipairs(OF_PREDICTION) do redis.call('PERSIST', prefix .. ref) end
  end
end

local function back_to_work(ref, from)
  local key = K.PREDICTION .. ref
  move(ref, from, 'accepted')
  redis.call('HDEL', key, 'lease_until', 'reason', 'finished_at', 'failures', 'error')
  redis.call('ZREM', K.DUE_POLL, ref)
  if TERMINAL[from] then
    redis.call('HDEL', key, 'was')
    age(ref, nil)
  end
  ring_process(ref)
end

-- Whoever held its lease is gone without a word. `counter`: crashes, or crashes_alone when it was its own doing.
local function crash(ref, counter)
  local key = K.PREDICTION .. ref
  redis.call('HINCRBY', key, counter, 1)
  redis.call('HDEL', key, 'lease_until', 'alone')
  move(ref, 'working', 'accepted')
  note(ref, 'crashed', redis.call('HGET', key, 'worker'))
  ring_process(ref)
end
