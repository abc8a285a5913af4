-- Range tombstones, as in sinks/ordering/range_tombstone.py: field "truncate orders/items" or "sweep orders/items" of a
-- hash. The value is a default deletion, followed by deletions for single partitions, which replace the default there.

local DELETION = 67

local function placed(fence, row_partition)
  for at = DELETION + 1, #fence, DELETION do
    local deletion = sub(fence, at, at + DELETION - 1)
    if partition(deletion) == row_partition then return deletion end
  end
  return sub(fence, 1, 58) .. row_partition .. 'd'
end

local function load_fences(key)
  local flat, known = redis.call('HGETALL', key), {}
  for at = 1, #flat, 2 do known[flat[at]] = flat[at + 1] end
  return #flat > 0 and { known = known, registers = {} } or nil
end

-- Return the range tombstones of a row of this scope and partition as a register, or false if there are none.
local function register_of(fences, scope, row_partition)
  local place = scope .. ' ' .. row_partition
  local register = fences.registers[place]
  if register == nil then
    local truncate, sweep = fences.known['truncate ' .. scope], fences.known['sweep ' .. scope]
    local streamed, snapshot = truncate and placed(truncate, row_partition), sweep and placed(sweep, row_partition)
    register = streamed and snapshot and join(streamed, snapshot) or streamed or snapshot or false
    fences.registers[place] = register
  end
  return register
end
