-- The rule of order, as in sinks/register.py, over text.
--
-- A change is a version (sinks/version.py) and after it an image. A register is its streamed change and, after a NUL
-- byte, its snapshot row; JSON has no NUL. Versions are compared as text: Lua's numbers confuse neighbouring LSNs.

local byte, concat, find, match, sub = string.byte, table.concat, string.find, string.match, string.sub

local VERSION = 66
local ORDER = 57

-- The server compares strings by its locale, in which "aa" may come after "b" and "Z" after "a".
local compares_bytes = 'aa' < 'b' and 'Z' < 'a' and '/' < '0'

local function precedes(a, b)
  if compares_bytes then return a < b end
  for at = 1, math.min(#a, #b) do
    local left, right = byte(a, at), byte(b, at)
    if left ~= right then return left < right end
  end
  return #a < #b
end

local function order(change) return sub(change, 1, ORDER) end
local function epoch(change) return sub(change, 1, 8) end
local function commit_lsn(change) return sub(change, 9, 24) end
local function lsn(change) return sub(change, 25, 40) end
local function inverted_offset(change) return sub(change, 42, ORDER) end
local function partition(change) return sub(change, 58, 65) end
local function is_alive(change) return change and sub(change, VERSION, VERSION) == 'i' end
local function image(change) return sub(change, VERSION + 1) end

local function sides(register)
  local nul = find(register, '\0', 1, true)
  if not nul then return register, nil end
  if nul == 1 then return nil, sub(register, 2) end
  return sub(register, 1, nul - 1), sub(register, nul + 1)
end

local function outlives(streamed, snapshot)
  if epoch(streamed) ~= epoch(snapshot) then return precedes(epoch(snapshot), epoch(streamed)) end
  return not (precedes(commit_lsn(streamed), lsn(snapshot)) and precedes(lsn(streamed), lsn(snapshot)))
end

local function follows(streamed, snapshot)
  if epoch(streamed) ~= epoch(snapshot) then return precedes(epoch(snapshot), epoch(streamed)) end
  return outlives(streamed, snapshot) or precedes(inverted_offset(streamed), inverted_offset(snapshot))
end

local function shown(register)
  local streamed, snapshot = sides(register)
  if not (streamed and snapshot) then return streamed or snapshot end
  return follows(streamed, snapshot) and streamed or snapshot
end

local function newest(known, change)
  if known and not (change and precedes(order(known), order(change))) then return known end
  return change
end

local function join(known, incoming)
  if known == incoming then return known end
  local streamed, snapshot = sides(known)
  local streamed_too, snapshot_too = sides(incoming)
  streamed, snapshot = newest(streamed, streamed_too), newest(snapshot, snapshot_too)
  if not snapshot then return streamed end
  if not streamed then return '\0' .. snapshot end
  if outlives(streamed, snapshot) then return streamed end
  if precedes(epoch(streamed), epoch(snapshot)) then return '\0' .. snapshot end
  return streamed .. '\0' .. snapshot
end
