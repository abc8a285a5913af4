"""Worker processes: supervision, watchdog, heartbeats and memory limits."""
