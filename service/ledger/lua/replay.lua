-- Replay a terminal prediction from the fetch. ARGV[3] source:id, [4] the run that it is a member of or '', [5] its
-- number there, [6] 1 when its events are to have new ids, [7] the span of a trace that it is in, or ''.
-- Returns 'accepted', or 'awaited' when no completion was ever seen (the provider is asked again), or its stage when
-- it is not terminal: then it is on its way already; or 'compact', and nothing is done: it has to be restored first;
-- or 'over', when it has had its turn in the run.
local ref, run, turn = ARGV[3], ARGV[4], ARGV[5]
if not has_turn(run, turn) then return 'over' end
local key = K.PREDICTION .. ref
local record = redis.call('HMGET', key, 'stage', 'verdict', 'lives')
local stage, verdict = record[1], record[2]
if not stage then
  turn_over(run, ref, 'skipped', 'is no longer in the ledger')
  return false
end
if not TERMINAL[stage] then
  turn_over(run, ref, 'skipped', 'is ' .. stage .. ': on its way')
  return stage
end
if record[3] then return 'compact' end
turn_over(run, ref, 'done')
note(ref, 'replayed', 'from fetch' .. (ARGV[6] == '1' and ', with new event ids' or ''))
redis.call('HSET', key, 'redeliver', (ARGV[7] ~= '' and ARGV[7] or '1') .. (ARGV[6] == '1' and 'n' or ''))
-- The occasion of its events (`service/events.py`): what is told now is told for the first time.
if ARGV[6] == '1' then redis.call('HINCRBY', key, 'generation', 1) end
if verdict then
  redis.call('HSET', key, 'via', 'replay')
  mark('via', 'replay', sequence_of(key))
  redis.call('HDEL', key, 'crashes', 'crashes_alone')
  back_to_work(ref, stage)
  return 'accepted'
end
move(ref, stage, 'awaited')
-- When we first heard of it stays as it was: lists are in that order.
redis.call('HSETNX', key, 'first_at', redis.call('HGET', key, 'known_at') or instant(NOW))
redis.call('HSET', key, 'polls', 0, 'known_at', instant(NOW))
redis.call('HDEL', key, 'reason', 'finished_at', 'error')
age(ref, nil)
redis.call('ZADD', K.DUE_POLL, instant(NOW), ref)
return 'awaited'
