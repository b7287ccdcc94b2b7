"""Fuzz targets: one per reader of files, run briefly by the tests and long by `make fuzz`."""
