"""Tests of remedies that need no server: each provokes a problem, carries out the printed remedy, and tries again."""
