"""Running a finished detector: one protocol, one file per runtime, and their benchmark."""
