-- Accept a batch of arrivals: deduplicate, write the record, set when it is due, push the RQ job, in one step.
-- ARGV[3] is the number of arrivals; then for each its source:id and FIELDS in one, as `Arrival.encoded` writes them.
-- Returns one outcome per arrival: new | advanced | known | stale, FULL when there is no room for new work, or
-- 'refused: ' and why it cannot be written.

-- Letters that only a newer version knows count as the strictest.
local RANK = {c = 1, u = 2, f = 3}

local function stricter(held, said)
  local merged, changed = {}, false
  for i = 1, #held do
    local a, b = string.sub(held, i, i), string.sub(said, i, i)
    local tighter = b ~= '' and (RANK[b] or 3) > (RANK[a] or 3)
    merged[i] = tighter and b or a
    changed = changed or tighter
  end
  return table.concat(merged), changed
end

-- Told to the tally once for the whole batch.
local counted = {}
local function tally(name) counted[name] = (counted[name] or 0) + 1 end

-- A record of its own; `more` are fields beside those that every one has from its first day.
local function create(ref, stage, item, more)
  local source, id = split(ref)
  local sequence = number()
  if redis.call('ZREM', K.EXPIRY, ref) == 1 then
    -- Its record aged away before it was trimmed; only its places in the lists were left.
    for terminal in pairs(TERMINAL) do redis.call('ZREM', K.STAGE .. terminal, ref) end
    redis.call('ZREM', K.REVIEW, ref)
  end
  redis.call('HSET', K.PREDICTION .. ref, 'source', source, 'id', id, 'stage', stage, 'sequence', sequence,
    'known_at', instant(NOW), 'model', item.model, 'metadata', item.metadata, 'created_at', item.created_at,
    'status', item.status, 'attempts', 0, 'token', 0, 'polls', 0, unpack(more))
  redis.call('ZADD', K.STAGE .. stage, sequence, ref)
  redis.call('ZADD', K.INDEX, sequence, ref)
  if item.model ~= '' then mark('model', item.model, sequence) end
  return sequence
end

local function update(ref, item, names)
  for _, name in ipairs(names) do
    if item[name] ~= '' then
      redis.call('HSET', K.PREDICTION .. ref, name, item[name])
      if name == 'model' then mark('model', item.model, sequence_of(K.PREDICTION .. ref)) end
    end
  end
end

-- What a record has from its completion on.
local function completion(item)
  tally('via_' .. item.via)
  return {'verdict', item.verdict, 'status', item.status, 'said_reason', item.reason, 'via', item.via,
    'received_at', instant(NOW), 'nsfw', item.nsfw, 'payload', item.payload, 'digest', item.digest,
    'said_error', item.error, 'callback', item.callback}
end

-- Letters that only a newer version knows count as flagged. That it is clean, nearly everything says.
local function mark_nsfw(letters, sequence)
  if string.find(letters, 'u', 1, true) then mark('nsfw', 'unknown', sequence) end
  if string.find(letters, '[^cu]') then mark('nsfw', 'flagged', sequence) end
end

local function mark_completion(item, sequence)
  mark('via', item.via, sequence)
  mark_nsfw(item.nsfw, sequence)
  if item.error ~= '' or item.reason ~= '' then mark('err', 'any', sequence) end
end

local function complete(ref, item)
  local key = K.PREDICTION .. ref
  redis.call('HSET', key, unpack(completion(item)))
  redis.call('HSETNX', key, 'day', item.day)
  redis.call('HINCRBY', key, 'generation', 1)
  mark_completion(item, sequence_of(key))
end

local function create_complete(ref, item)
  local fields = completion(item)
  for _, field in ipairs({'day', item.day, 'generation', 1, 'rings', 1, 'pushed', push_process(ref, 1, item.created_at)}) do
    fields[#fields + 1] = field
  end
  mark_completion(item, create(ref, 'accepted', item, fields))
end

local function await(ref, item, existing)
  local due = instant(NOW + tonumber(item.due_in))
  if not existing.stage then
    create(ref, 'awaited', item, {})
    redis.call('ZADD', K.DUE_POLL, due, ref)
    return 'new'
  end
  if existing.stage == 'awaited' then
    redis.call('ZADD', K.DUE_POLL, 'LT', due, ref)
    update(ref, item, {'status', 'model'})
  end
  update(ref, item, {'metadata'})
  return 'known'
end

-- Does a file have to move out of the open? A dead one can have some from its earlier rounds.
local function has_stored(ref, stage)
  local outputs = redis.call('HGET', K.PREDICTION .. ref, 'outputs') or ''
  local function has(disposition) return string.find(outputs, '"disposition":"' .. disposition .. '"', 1, true) end
  return stage == 'done' or (stage == 'dead' and (has('stored') or has('released')))
end

local function repeated(ref, item, existing)
  if existing.verdict ~= item.verdict or existing.status ~= item.status then
    note(ref, 'contradicted', existing.status .. ' stands, ' .. item.via .. ' said ' .. item.status)
  elseif existing.digest ~= item.digest then
    note(ref, 'contradicted', 'first outputs stand, ' .. item.via .. ' said others')
  end
  if existing.verdict ~= item.verdict then return 'known' end
  tally('duplicates')
  local merged, changed = stricter(existing.nsfw, item.nsfw)
  if not changed then return 'known' end
  redis.call('HSET', K.PREDICTION .. ref, 'nsfw', merged)
  mark_nsfw(merged, sequence_of(K.PREDICTION .. ref))
  note(ref, 'judged', 'a duplicate was stricter: ' .. merged)
  -- Who is at work on it judged by the old flags; what is only queued will be judged by the new ones.
  if existing.stage == 'working' or has_stored(ref, existing.stage) then
    back_to_work(ref, existing.stage)
    return 'advanced'
  end
  return 'known'
end

local function first_or_better(ref, item, existing)
  if not existing.stage then
    create_complete(ref, item)
    return 'new'
  end
  complete(ref, item)
  update(ref, item, {'model', 'created_at', 'metadata'})
  redis.call('HDEL', K.PREDICTION .. ref, 'outputs', 'crashes', 'crashes_alone', 'redeliver', 'was', 'prune',
    'payload_dropped_at')
  back_to_work(ref, existing.stage)
  return 'advanced'
end

local function accept(ref, item)
  local reply = redis.call('HMGET', K.PREDICTION .. ref, 'stage', 'verdict', 'status', 'digest', 'nsfw', 'lives')
  local existing =
    {stage = reply[1], verdict = reply[2], status = reply[3] or '', digest = reply[4], nsfw = reply[5] or ''}
  local ended = item.verdict ~= '' and item.verdict ~= 'pending'
  -- What brings a payload or a record needs room; what is known already, or only waits, does not.
  if (not existing.stage or (ended and not existing.verdict)) and is_crowded() then return FULL end
  local outcome
  if not ended then
    outcome = await(ref, item, existing)
  elseif existing.verdict and not (existing.verdict == 'failed' and item.verdict == 'completed' and item.nsfw ~= '')
  then
    outcome = repeated(ref, item, existing)
  else
    -- The first completion, or a genuine completion after a failure: paid work is never dropped.
    outcome = first_or_better(ref, item, existing)
  end
  if ended and outcome ~= 'known' then
    write_lines(ref, line(item.step, item.detail), line('accepted', item.status))
  elseif not (item.step == 'polled' and outcome == 'known') then
    note(ref, item.step, item.detail)
  end
  -- Of a compact one the list of lines begins anew, and ages with it.
  if reply[6] and outcome == 'known' then redis.call('EXPIRE', K.TIMELINE .. ref, reply[6]) end
  return item.stale == '1' and 'stale' or outcome
end

local FIELDS = {'verdict', 'status', 'reason', 'model', 'created_at', 'nsfw', 'via', 'payload', 'metadata', 'day',
  'error', 'digest', 'due_in', 'step', 'detail', 'stale', 'callback'}
local outcomes = {}
-- For each its place in the lists and its job's.
numbers_at_once = 2 * tonumber(ARGV[3])
for n = 1, tonumber(ARGV[3]) do
  local encoded, item, field = ARGV[3 + n], {}, 0
  local at = string.find(encoded, ';', 1, true) + 1
  for length in string.gmatch(string.sub(encoded, 1, at - 2), '%d+') do
    local to = at + tonumber(length)
    item[FIELDS[field] or 'ref'] = string.sub(encoded, at, to - 1)
    at, field = to, field + 1
  end
  local fine, outcome = pcall(accept, item.ref, item)
  -- One corrupt record is no reason to refuse the others of the batch.
  outcomes[n] = fine and outcome or 'refused: ' .. why(outcome)
  -- Not of what a full server refuses: counting that would be the write that it does not take.
  if item.via == 'callback' and fine and outcome ~= FULL then tally('callbacks_' .. outcome) end
end
for name, n in pairs(counted) do count(name, n) end
return outcomes
