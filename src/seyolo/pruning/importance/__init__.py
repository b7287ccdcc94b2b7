"""Importance of channels."""
