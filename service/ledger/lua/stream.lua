-- Take from a stream what is too old, but nothing that one of its groups has not acknowledged yet.
-- ARGV[3] its key, [4] seconds that an entry stays, [5] the most entries of it.
-- Returns {how many went, 1 when it is full and the slowest group has not read what goes next, else 0}.
local key, age, most = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local groups = redis.pcall('XINFO', 'GROUPS', key)
-- There is none yet, or something else stands there: deliveries say so.
if groups.err then return {0, 0} end

local function is_before(one, other)
  local ms, n = string.match(one, '^(%d+)-(%d+)$')
  local other_ms, other_n = string.match(other, '^(%d+)-(%d+)$')
  if ms ~= other_ms then return tonumber(ms) < tonumber(other_ms) end
  return tonumber(n) < tonumber(other_n)
end

-- The oldest that a group may still ask for: what it has not acknowledged, or what follows on what it was given last.
local needed
for _, group in ipairs(groups) do
  local is = {}
  for i = 1, #group, 2 do is[group[i]] = group[i + 1] end
  local from = is['last-delivered-id']
  if is.pending > 0 then from = redis.call('XPENDING', key, is.name)[2] or from end
  if not needed or is_before(from, needed) then needed = from end
end

local cutoff = string.format('%.0f-0', math.max(0, NOW - age) * 1000)
if needed and is_before(needed, cutoff) then cutoff = needed end
local gone = redis.call('XTRIM', key, 'MINID', cutoff)
local behind = 0
if needed and redis.call('XLEN', key) >= most then
  local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
  if first and not is_before(first[1], needed) then behind = 1 end
end
return {gone, behind}
