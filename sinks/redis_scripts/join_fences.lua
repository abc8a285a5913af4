-- Join the fences into one page of the documents. A scan returns every key that is there from its beginning to its
-- end; what is written in the meantime meets the fences in the merge.
--
-- KEYS: the marker, the fences.
-- ARGV: the marker's text, the document's name, its collections as "a/b", the page's cursor, the pattern of the keys
--       of registers.
-- Answers the cursor of the next page, "0" after the last, or nil where no database holds the generation.

if not enter_generation(KEYS[1], ARGV[1]) then return nil end

local fences = load_fences(KEYS[2])
local document, collections = ARGV[2], collections_of(ARGV[3])
local page = redis.call('SCAN', ARGV[4], 'MATCH', ARGV[5], 'COUNT', 200, 'TYPE', 'hash')

for _, registers_key in ipairs(page[2]) do
  local parts, changed = pairs_of(redis.call('HGETALL', registers_key)), {}
  for part, known in pairs(parts) do set(parts, changed, part, fenced(known, part, fences, document)) end
  store(sub(registers_key, 2, -4), registers_key, parts, changed, collections)
end

return page[1]
