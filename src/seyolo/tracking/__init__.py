"""Ids of the objects in a video, and counts of those that cross a line or enter a zone."""
