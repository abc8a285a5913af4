-- Merge many documents, each with the changes of its parts.
--
-- KEYS: the marker, the range tombstones, then per document its key and the key of its registers.
-- ARGV: the marker's text, the document's name, its collections as "a/b", then per document the number of its changes,
--       and per change its part and a register with only this change.
-- Returns the keys with a value other than registers, which were not changed, or nil if no database has the generation.

if not enter_generation(KEYS[1], ARGV[1]) then return nil end

local fences, name, collections = load_fences(KEYS[2]), ARGV[2], collections_of(ARGV[3])
local rejected = {}
local at = 4

for place = 3, #KEYS, 2 do
  local key, registers_key = KEYS[place], KEYS[place + 1]
  local last = at + 2 * ARGV[at]
  local held = redis.pcall('HGETALL', registers_key)
  if held.err then
    if sub(held.err, 1, 9) ~= 'WRONGTYPE' then return held end
    rejected[#rejected + 1] = registers_key
  else
    local names, registers = parts_of(held)
    local changed = {}
    for argument = at + 1, last, 2 do
      local part, register = ARGV[argument], ARGV[argument + 1]
      local known = registers[part]
      if known then register = join(known, register) end
      if fences then register = fenced(register, part, fences, name) end
      if register ~= known then
        if not known then names[#names + 1] = part end
        registers[part] = register
        changed[#changed + 1] = part
        changed[#changed + 1] = register
      end
    end
    if #changed > 0 then store(key, render(names, registers, collections), registers_key, changed) end
  end
  at = last + 1
end

return rejected
