-- A member of a run has had its turn, and nothing is done. ARGV[3] run, [4] its number, [5] member,
-- [6] skipped | failed, [7] why.
-- Returns 1, or 0 when its turn was over before.
if not has_turn(ARGV[3], ARGV[4]) then return 0 end
turn_over(ARGV[3], ARGV[5], ARGV[6], ARGV[7])
return 1
