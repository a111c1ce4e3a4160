-- Send deliveries again, with their event ids and bodies. ARGV[3…] delivery ids.
-- Returns how many ring, or the source:id of those that are compact: nothing is done before they are restored.
local compact = {}
for i = 3, #ARGV do
  local ref = redis.call('HGET', K.DELIVERY .. ARGV[i], 'ref')
  if ref and redis.call('HEXISTS', K.PREDICTION .. ref, 'lives') == 1 then compact[#compact + 1] = ref end
end
if #compact > 0 then return compact end

local rung = 0
for i = 3, #ARGV do
  if redis.call('EXISTS', K.DELIVERY .. ARGV[i]) == 1 then
    deliver_anew(ARGV[i])
    rung = rung + 1
  end
end
return rung
