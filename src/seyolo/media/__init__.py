"""Images, videos, cameras and streams: finding, reading, writing and drawing on them."""
