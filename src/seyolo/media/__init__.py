"""Pictures in, annotated pictures out."""
