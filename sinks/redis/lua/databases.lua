-- Every logical database may hold one generation, and says so with a marker: "7 " and a word that is drawn anew each
-- time generation 7 is created. A script may look into all databases; that of its connection stays what it was.

local function enter(database) return not redis.pcall('SELECT', database).err end

local function is_of(generation, marker) return marker and string.sub(marker, 1, #generation + 1) == generation .. ' ' end

-- Enter databases until visit(database, marker) answers something.
local function first_of_databases(marker_key, visit)
  local database = 0
  while enter(database) do
    local answer = visit(database, redis.call('GET', marker_key))
    if answer then return answer end
    database = database + 1
  end
end

-- Enter the database that holds exactly this creation of a generation, wherever SWAPDB has put it.
local function enter_generation(marker_key, marker)
  return first_of_databases(marker_key, function(_, found) return found == marker end)
end
