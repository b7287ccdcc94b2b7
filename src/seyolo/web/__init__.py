"""Local web page and HTTP API; needs the extra `web`."""
