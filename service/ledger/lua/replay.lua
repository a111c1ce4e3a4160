-- Replay a terminal prediction from the fetch. ARGV[3] source:id.
-- Returns 'accepted', or 'awaited' when no completion was ever seen (the provider is asked again), or its stage when
-- it is not terminal: then it is on its way already; or 'compact', and nothing is done: it has to be restored first.
local ref = ARGV[3]
local key = K.PREDICTION .. ref
local record = redis.call('HMGET', key, 'stage', 'verdict', 'lives')
local stage, verdict = record[1], record[2]
if not stage then return false end
if not TERMINAL[stage] then return stage end
if record[3] then return 'compact' end
note(ref, 'replayed', 'from fetch')
redis.call('HSET', key, 'redeliver', 1)
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
