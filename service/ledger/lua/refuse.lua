-- Write down callbacks that were turned away. ARGV[3] the process that did, [4] the number of its batch, [5] how many
-- to keep, [6] seconds to keep them, [7] reason → count as JSON, [8…] some of them as JSON, oldest first.
local mark = K.REFUSED_BY .. ARGV[3]
-- The same number is the same batch, sent again after a lost answer.
if redis.call('GET', mark) == ARGV[4] then return end
redis.call('SET', mark, ARGV[4], 'EX', 86400)
local hour = K.REFUSED_HOUR .. math.floor(NOW / 3600)
for reason, n in pairs(cjson.decode(ARGV[7])) do
  count('refused_' .. reason, n)
  redis.call('HINCRBY', hour, reason, n)
end
redis.call('EXPIRE', hour, 176400)
for place = 8, #ARGV do
  local sequence = number()
  redis.call('ZADD', K.REFUSED, sequence, sequence .. ' ' .. ARGV[place])
end
redis.call('ZREMRANGEBYRANK', K.REFUSED, 0, -1 - tonumber(ARGV[5]))
redis.call('EXPIRE', K.REFUSED, ARGV[6])
