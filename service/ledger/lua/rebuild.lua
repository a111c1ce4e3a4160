-- Write ended predictions that the ledger does not have, as their manifests tell of them. Nothing is told to anybody.
-- ARGV[3…] for each a JSON of:
--   ref
--   sequence  its place in the lists; should another stand there, the next one that is free
--   fields    {name: text}  the record, its sequence apart
--   lines     [line, …]     as they lie in a timeline
--   events    {id: body}    what was told before, so that it is not told again
--   words     [[name, value], …]  that lists are searched by
--   held      true or false: does an output wait for a review
--   kept      {held, rejected}  since when a file stands that only its retention deletes; false for none
--   keep      seconds that it stays
-- Returns one word for each: rebuilt, or known (what the ledger has stays as it is).
local TRIES = 1000

local function place(wanted)
  for sequence = wanted, wanted + TRIES do
    if redis.call('ZCOUNT', K.INDEX, sequence, sequence) == 0 then return sequence end
  end
  return wanted
end

local function rebuild(one)
  local ref, key = one.ref, K.PREDICTION .. one.ref
  if redis.call('EXISTS', key) == 1 then return 'known' end
  local sequence = place(one.sequence)
  -- What comes after it stands after it.
  if sequence > tonumber(redis.call('GET', K.SEQUENCE) or '0') then
    redis.call('SET', K.SEQUENCE, string.format('%d', sequence))
  end
  redis.call('HSET', key, 'sequence', sequence)
  for name, value in pairs(one.fields) do redis.call('HSET', key, name, value) end
  for _, text in ipairs(one.lines) do write_lines(ref, text) end
  for _, word in ipairs(one.words) do mark(word[1], word[2], sequence) end
  for id, body in pairs(one.events) do redis.call('HSET', K.EVENTS .. ref, id, body) end
  redis.call('ZADD', K.STAGE .. one.fields.stage, sequence, ref)
  redis.call('ZADD', K.INDEX, sequence, ref)
  if one.held then redis.call('ZADD', K.REVIEW, sequence, ref) end
  if one.kept.held then redis.call('ZADD', K.KEPT_HELD, instant(one.kept.held), ref) end
  if one.kept.rejected then redis.call('ZADD', K.KEPT_REJECTED, instant(one.kept.rejected), ref) end
  age(ref, one.keep)
  redis.call('ZADD', K.SETTLED, instant(NOW), ref)
  return 'rebuilt'
end

if is_crowded() then return redis.error_reply(FULL) end
if redis.call('EXISTS', K.SEQUENCE) == 0 then
  -- Nothing is here that an older version wrote: words have all their blocks.
  redis.call('HSETNX', K.MARKED, 'settles', instant(NOW))
  redis.call('HSETNX', K.MARKED, 'from', 0)
end
local words = {}
for i = 3, #ARGV do words[i - 2] = rebuild(cjson.decode(ARGV[i])) end
-- Some may have a payload and stand behind the mark.
redis.call('DEL', K.PAYLOADS)
return words
