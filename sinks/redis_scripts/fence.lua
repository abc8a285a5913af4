-- Fences, as in sinks/fence.py: field "truncate orders/items" or "sweep orders/items" of a hash, holding a version for
-- every partition that the fence names, after one for the partitions that it does not name.

local function pairs_of(flat)
  local map = {}
  for at = 1, #flat, 2 do map[flat[at]] = flat[at + 1] end
  return map
end

local function placed(fence, row_partition)
  for at = VERSION + 1, #fence, VERSION do
    local version = sub(fence, at, at + VERSION - 1)
    if partition(version) == row_partition then return version end
  end
  return order(fence) .. row_partition .. 'd'
end

local function load_fences(key)
  local fences = pairs_of(redis.call('HGETALL', key))
  return next(fences) and { known = fences, registers = {} } or nil
end

-- What the fences say of a row of this scope that lies in this partition, or nil where they say nothing.
local function register_of(fences, scope, row_partition)
  local place = scope .. ' ' .. row_partition
  local register = fences.registers[place]
  if register == nil then
    local truncate, sweep = fences.known['truncate ' .. scope], fences.known['sweep ' .. scope]
    local streamed = truncate and placed(truncate, row_partition)
    local snapshot = sweep and placed(sweep, row_partition)
    if streamed and snapshot then register = join(streamed, '\0' .. snapshot)
    else register = streamed or (snapshot and '\0' .. snapshot) or false end
    fences.registers[place] = register
  end
  return register
end
