-- Apply the range tombstones to one page of the documents. A scan returns every key that exists from its beginning to
-- its end; concurrent writes apply the tombstones in the merge.
--
-- KEYS: the marker, the range tombstones.
-- ARGV: the marker's text, the document's name, its collections as "a/b", the page's cursor, the pattern of the
--       register keys.
-- Returns the cursor of the next page, "0" after the last, or nil if no database has the generation.

if not enter_generation(KEYS[1], ARGV[1]) then return nil end

local fences, name, collections = load_fences(KEYS[2]), ARGV[2], collections_of(ARGV[3])
local page = redis.call('SCAN', ARGV[4], 'MATCH', ARGV[5], 'COUNT', 200, 'TYPE', 'hash')

for _, registers_key in ipairs(page[2]) do
  local names, registers = parts_of(redis.call('HGETALL', registers_key))
  local changed = {}
  for part, known in pairs(registers) do
    local register = fenced(known, part, fences, name)
    if register ~= known then
      registers[part] = register
      changed[#changed + 1] = part
      changed[#changed + 1] = register
    end
  end
  if #changed > 0 then
    local key = sub(registers_key, 2, -4)
    store(key, render(names, registers, collections), registers_key, changed)
  end
end

return page[1]
