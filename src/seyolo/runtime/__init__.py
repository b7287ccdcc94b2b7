"""Runtimes of a finished detector: one protocol, one table, one file per runtime, and their benchmark."""
