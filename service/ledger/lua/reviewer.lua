-- Lease one held output to one reviewer, or renew it. ARGV[3] source:id:index, [4] who, [5] seconds.
-- Returns who has it now.
local key = K.REVIEWER .. ARGV[3]
local holder = redis.call('GET', key)
if holder and holder ~= ARGV[4] then return holder end
redis.call('SET', key, ARGV[4], 'EX', ARGV[5])
return ARGV[4]
