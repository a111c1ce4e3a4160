-- Send deliveries again, with their event ids and bodies. ARGV[3] the run that they are a member of or '', [4] its
-- number there, [5] the member, [6…] delivery ids. In a run those that are on their way are left alone.
-- Returns how many ring, or the source:id of those that are compact: nothing is done before they are restored; or
-- 'over', when the member has had its turn in the run.
local run, turn, member = ARGV[3], ARGV[4], ARGV[5]
if not has_turn(run, turn) then return 'over' end
local compact = {}
for i = 6, #ARGV do
  local ref = redis.call('HGET', K.DELIVERY .. ARGV[i], 'ref')
  if ref and redis.call('HEXISTS', K.PREDICTION .. ref, 'lives') == 1 then compact[#compact + 1] = ref end
end
if #compact > 0 then return compact end

local rung, told = 0, {}
for i = 6, #ARGV do
  local held = redis.call('HMGET', K.DELIVERY .. ARGV[i], 'state', 'ref')
  local state, ref = held[1], held[2]
  if state and (run == '' or state ~= 'pending') then
    if ref and not told[ref] then
      told[ref] = true
      note(ref, 'replayed', 'from deliver')
    end
    deliver_anew(ARGV[i])
    rung = rung + 1
  end
end
if rung > 0 then
  turn_over(run, member, 'done')
else
  turn_over(run, member, 'skipped', 'has no delivery that has ended')
end
return rung
