"""The cut and its repair: surgery, folding, reconstruction, recalibration."""
