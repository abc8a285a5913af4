"""Teardown of a deployment: all existing parts are found and listed before anything is removed."""
