"""Synthetic hands: drawn images with exact boxes."""
