"""Large images in overlapping tiles: their places, and the merging of detections across tile borders."""
