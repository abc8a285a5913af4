-- Ordering rule of sinks/ordering/register.py, over text.
--
-- A change is 's' if it was streamed or 'r' if a snapshot read the row, then its version
-- (sinks/ordering/version_text.py, whose positions a test compares with those below), then its image. A register is one
-- change, or the streamed one, a NUL byte and the snapshot's; JSON contains no NUL. Versions are compared as text,
-- because Lua's numbers cannot distinguish neighbouring LSNs.

local byte, find, sub = string.byte, string.find, string.sub

local FLAG = 67
local IMAGE = 68

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

local function order(change) return sub(change, 2, 58) end
local function epoch(change) return sub(change, 2, 9) end
local function commit_lsn(change) return sub(change, 10, 25) end
local function lsn(change) return sub(change, 26, 41) end
local function inverted_offset(change) return sub(change, 43, 58) end
local function partition(change) return sub(change, 59, 66) end
local function is_alive(change) return byte(change, FLAG) == 105 end -- 'i'

local function sides(register)
  local nul = find(register, '\0', 1, true)
  if nul then return sub(register, 1, nul - 1), sub(register, nul + 1) end
  if byte(register) == 115 then return register, nil end -- 's'
  return nil, register
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
  if not find(register, '\0', 1, true) then return register end
  local streamed, snapshot = sides(register)
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
  if not (streamed and snapshot) then return streamed or snapshot end
  if outlives(streamed, snapshot) then return streamed end
  if precedes(epoch(streamed), epoch(snapshot)) then return snapshot end
  return streamed .. '\0' .. snapshot
end
