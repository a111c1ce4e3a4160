-- Write down a person's decision about one output, and give the prediction back to work: a worker carries it out.
-- ARGV[3] source:id, [4] index, [5] approve | reject | undo, [6] who, [7] why or '', [8] a nonce: asking again after a
-- lost answer decides once.
-- A decision that no worker has begun to carry out may be followed by another about the same prediction, also by its undoing.
-- Returns nothing for a prediction that is not here, else {'decided', its number}, {'stage', where it is on its way},
-- {'index'} when it has no such output, {'disposition', what the output is} when that cannot be decided so, or
-- {'compact'} when it has to be restored first.
local ref, index, decision, by, reason, nonce = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local key = K.PREDICTION .. ref

local SAID = {approve = 'approved', reject = 'rejected', undo = 'undone'}
local LEAVES = {
  approve = {held = true},
  reject = {held = true},
  undo = {released = true, rejected = true},
}

local record = redis.call('HMGET', key, 'stage', 'outputs', 'reviews', 'nsfw', 'reason', 'error', 'finished_at',
  'lives', 'was')
local stage = record[1]
if not stage then return false end
if record[8] then return {'compact'} end
local reviews = record[3] and cjson.decode(record[3]) or {}
local last = reviews[index]
if last and last.nonce == nonce then return {'decided', last.number} end
local waits = stage == 'accepted' and record[9]
if not TERMINAL[stage] and not waits then return {'stage', stage} end

local output
for _, one in ipairs(cjson.decode(record[2] or '[]')) do
  if one.index == tonumber(index) then output = one end
end
if not output then return {'index'} end
local is_open = waits and last and last.decision ~= 'undo' and last.number > (tonumber(output.decision) or 0)
local taken_back = decision == 'undo' and is_open and output.disposition == 'held'
if not LEAVES[decision][output.disposition] and not taken_back then
  return {'disposition', tostring(output.disposition)}
end

-- What the person knew, the flag and the bytes, stands beside the decision: it says nothing of others.
local number = (last and last.number or 0) + 1
reviews[index] = {number = number, decision = decision, by = by, reason = reason, at = NOW, nonce = nonce,
  nsfw = string.sub(record[4] or '', index + 1, index + 1), sha256 = output.sha256}
note(ref, 'reviewed', index .. ' ' .. SAID[decision] .. ' by ' .. by .. (reason ~= '' and ': ' .. reason or ''))
redis.call('HSET', key, 'reviews', cjson.encode(reviews))
if TERMINAL[stage] then
  back_to_work(ref, stage)
  redis.call('HSET', key, 'was', cjson.encode(
    {stage = stage, reason = record[5] or '', error = record[6] or '', finished_at = record[7] or instant(NOW)}))
end
return {'decided', number}
