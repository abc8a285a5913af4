-- Documents, as in sinks/document.py: a hash from part to register, and beside it the document as readers see it.

local sort = table.sort

local function collection_of(part) return match(part, '^[^/]*') end

local function fenced(register, part, fences, document)
  if not fences then return register end
  local streamed, snapshot = sides(register)
  local fence = register_of(fences, document .. '/' .. collection_of(part), partition(streamed or snapshot))
  return fence and join(register, fence) or register
end

local function collections_of(names)
  local collections = {}
  for name in string.gmatch(names, '[^/]+') do collections[#collections + 1] = name end
  return collections
end

local function render(parts, collections)
  local root = parts[''] and shown(parts[''])
  if not is_alive(root) then return nil end
  local names, arrays = {}, {}
  for part in pairs(parts) do names[#names + 1] = part end
  sort(names, not compares_bytes and precedes or nil)
  for _, collection in ipairs(collections) do arrays[collection] = {} end
  for _, part in ipairs(names) do
    local change = part ~= '' and shown(parts[part])
    if is_alive(change) then
      local array = arrays[collection_of(part)]
      array[#array + 1] = image(change)
    end
  end
  local fields = { sub(root, VERSION + 1, -2) }
  for _, collection in ipairs(collections) do
    fields[#fields + 1] = '"' .. collection .. '":[' .. concat(arrays[collection], ',') .. ']'
  end
  return concat(fields, ',') .. '}'
end

-- Set a register; `changed` gathers them as part, register, part, register.
local function set(parts, changed, part, register)
  if register == parts[part] then return end
  parts[part] = register
  changed[#changed + 1] = part
  changed[#changed + 1] = register
end

-- Write the document, then the registers that changed. In this order: a document whose registers are behind it is
-- merged and written again; one that is behind its registers would stay so.
local function store(key, registers_key, parts, changed, collections)
  if #changed == 0 then return end
  local document = render(parts, collections)
  if document then redis.call('SET', key, document) else redis.call('DEL', key) end
  -- Lua hands over at most about 8000 values at once.
  for at = 1, #changed, 2000 do
    redis.call('HSET', registers_key, unpack(changed, at, math.min(at + 1999, #changed)))
  end
end
