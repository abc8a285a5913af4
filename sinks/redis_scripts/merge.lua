-- Merge many documents, each with the changes of its parts.
--
-- KEYS: the marker, the fences, then per document its key and that of its registers.
-- ARGV: the marker's text, the document's name, its collections as "a/b", then per document the number of its changes,
--       and per change its part and the register that holds only it.
-- Answers the keys that hold something else than registers and were left alone, or nil where no database holds the
-- generation.

if not enter_generation(KEYS[1], ARGV[1]) then return nil end

local fences = load_fences(KEYS[2])
local document, collections = ARGV[2], collections_of(ARGV[3])
local rejected = {}
local at = 4

for name = 3, #KEYS, 2 do
  local key, registers_key = KEYS[name], KEYS[name + 1]
  local last = at + 2 * ARGV[at]
  local held = redis.pcall('HGETALL', registers_key)
  if held.err then
    if sub(held.err, 1, 9) ~= 'WRONGTYPE' then return held end
    rejected[#rejected + 1] = registers_key
  else
    local parts, changed = pairs_of(held), {}
    for argument = at + 1, last, 2 do
      local part, incoming = ARGV[argument], ARGV[argument + 1]
      local known = parts[part]
      set(parts, changed, part, fenced(known and join(known, incoming) or incoming, part, fences, document))
    end
    store(key, registers_key, parts, changed, collections)
  end
  at = last + 1
end

return rejected
