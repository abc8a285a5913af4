"""The local servers, as plain processes."""
