"""The local page and its HTTP API; needs the extra `serve`."""
