-- Documents, as in sinks/ordering/document.py: a hash from part to register, and the rendered document for readers.

local concat, gmatch, match, sort = table.concat, string.gmatch, string.match, table.sort

local function collection_of(part) return match(part, '^[^/]*') end

-- A register begins with its streamed change, or with its snapshot row if it has no streamed change. The partition of
-- this first change counts.
local function fenced(register, part, fences, document)
  local fence = register_of(fences, document .. '/' .. collection_of(part), partition(register))
  return fence and join(register, fence) or register
end

local function collections_of(names)
  local collections = {}
  for name in gmatch(names, '[^/]+') do collections[#collections + 1] = name end
  return collections
end

-- Convert the reply of HGETALL to the names of the parts, and the register of each.
local function parts_of(flat)
  local names, registers = {}, {}
  for at = 1, #flat, 2 do
    local part = flat[at]
    names[#names + 1] = part
    registers[part] = flat[at + 1]
  end
  return names, registers
end

local function render(names, registers, collections)
  local root = registers[''] and shown(registers[''])
  if not (root and is_alive(root)) then return nil end
  local arrays = {}
  for _, collection in ipairs(collections) do arrays[collection] = {} end
  sort(names, not compares_bytes and precedes or nil)
  local prefix, array = '', nil
  -- The root's name is empty, so it is the first.
  for at = 2, #names do
    local part = names[at]
    local change = shown(registers[part])
    if is_alive(change) then
      if not array or sub(part, 1, #prefix) ~= prefix then
        prefix, array = collection_of(part) .. '/', arrays[collection_of(part)]
      end
      array[#array + 1] = sub(change, IMAGE)
    end
  end
  local fields = { sub(root, IMAGE, -2) }
  for _, collection in ipairs(collections) do
    fields[#fields + 1] = '"' .. collection .. '":[' .. concat(arrays[collection], ',') .. ']'
  end
  return concat(fields, ',') .. '}'
end

-- Write or delete a document, then write the changed registers: part, register, part, register. The order matters: a
-- document that is newer than its registers is merged and written again, but one that is older would stay outdated.
local function store(key, document, registers_key, changed)
  if document then redis.call('SET', key, document) else redis.call('DEL', key) end
  -- Lua passes at most about 8000 values at once.
  for at = 1, #changed, 2000 do
    redis.call('HSET', registers_key, unpack(changed, at, math.min(at + 1999, #changed)))
  end
end
