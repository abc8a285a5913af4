-- KEYS: the marker.
-- Answers, in the order of databases, the markers of all generations; '' for a database that holds none.

local markers = {}
first_of_databases(KEYS[1], function(database, marker) markers[database + 1] = marker or '' end)
return markers
