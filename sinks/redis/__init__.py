"""Redis store: documents as JSON strings, applied by Lua scripts."""
