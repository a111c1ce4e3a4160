-- A suspect has brought down the process that it had to itself. ARGV[3] source:id, [4] token.
-- Returns 1, or 0 when that process had committed, or another holds it.
local ref, token = ARGV[3], ARGV[4]
local held = redis.call('HMGET', K.PREDICTION .. ref, 'stage', 'token')
if held[1] ~= 'working' or held[2] ~= token then return 0 end
crash(ref, 'crashes_alone')
return 1
