-- Advance progress to the end of a batch. It never decreases.
--
-- KEYS: the marker, the progress.
-- ARGV: the marker's text, then per topic partition its field and its next offset.
-- Returns 1, or nil if no database has the generation.

if not enter_generation(KEYS[1], ARGV[1]) then return nil end

-- Offsets are compared as text, because Lua's numbers are exact only up to 2^53.
local function is_lower(offset, other)
  if #offset ~= #other then return #offset < #other end
  return offset < other
end

for at = 2, #ARGV, 2 do
  local field, offset = ARGV[at], ARGV[at + 1]
  if is_lower(redis.call('HGET', KEYS[2], field) or '', offset) then redis.call('HSET', KEYS[2], field, offset) end
end
return 1
