-- Which layout this ledger has. ARGV[3] the version that we write, [4] 1 once an older ledger has been brought to it.
-- An empty one gets ours; one without a version is of the time before there were versions, which counts as 1.
-- Returns its version; on a crowded server, to which this cannot be added, ours: another process comes to it later.
local ours = tonumber(ARGV[3])
local held = tonumber(redis.call('GET', K.SCHEMA) or '')
if not held then held = redis.call('EXISTS', K.SEQUENCE) == 1 and 1 or 0 end
if held < ours and is_crowded() then return ours end
if held == 0 or (ARGV[4] == '1' and held < ours) then
  redis.call('SET', K.SCHEMA, ARGV[3])
  held = ours
end
return held
