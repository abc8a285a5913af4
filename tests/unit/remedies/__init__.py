"""Remedies that need no server: each test provokes a problem, follows the printed words, and tries again."""
