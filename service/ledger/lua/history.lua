-- Keep the running totals of this minute, once. ARGV[3] the most minutes that are kept, [4] how many names follow that
-- are gathered, [5...] those, then names in the tally. What is gathered is written from 0 on: without it the minute was
-- kept by a version that did not count it.
-- Any number may ask, and whoever leads after another goes on where that one ended. Returns 1 when it was kept, else 0.
local minute = math.floor(NOW / 60)
local function newest()
  local head = redis.call('LINDEX', K.HISTORY, 0)
  return head and tonumber(string.match(head, '^{"minute":(%d+)')) or 0
end

-- The server's clock was set back: what seems to be later is not where it belongs.
for _ = 1, tonumber(ARGV[3]) do
  if newest() <= minute then break end
  redis.call('LTRIM', K.HISTORY, 1, -1)
end
if newest() == minute then return 0 end
local of_tally = 5 + tonumber(ARGV[4])
local names = {unpack(ARGV, of_tally)}
local parts = {'{"minute":' .. string.format('%.0f', minute) .. ',"at":' .. instant(NOW)}
for i = 5, of_tally - 1 do
  parts[#parts + 1] = ',"' .. ARGV[i] .. '":' .. (redis.call('HGET', K.MEASURED, ARGV[i]) or 0)
end
for i, total in ipairs(redis.call('HMGET', K.TALLY, unpack(names))) do
  if total then parts[#parts + 1] = ',"' .. names[i] .. '":' .. total end
end
redis.call('LPUSH', K.HISTORY, table.concat(parts) .. '}')
redis.call('LTRIM', K.HISTORY, 0, tonumber(ARGV[3]) - 1)
return 1
