-- Every logical database may have one generation, identified by a marker: "7 " and a random word that is new each time
-- generation 7 is created. A script may select any database; the database of its connection does not change.

local function enter(database) return not redis.pcall('SELECT', database).err end

local function is_of(generation, marker) return marker and string.sub(marker, 1, #generation + 1) == generation .. ' ' end

-- Select databases until visit(database, marker) returns a value.
local function first_of_databases(marker_key, visit)
  local database = 0
  while enter(database) do
    local answer = visit(database, redis.call('GET', marker_key))
    if answer then return answer end
    database = database + 1
  end
end

-- Select the database of exactly this creation of a generation, wherever SWAPDB has moved it.
local function enter_generation(marker_key, marker)
  return first_of_databases(marker_key, function(_, found) return found == marker end)
end
