-- Send deliveries again, with their event ids and bodies. ARGV[3…] delivery ids. Returns how many ring.
local rung = 0
for i = 3, #ARGV do
  if redis.call('EXISTS', K.DELIVERY .. ARGV[i]) == 1 then
    deliver_anew(ARGV[i])
    rung = rung + 1
  end
end
return rung
