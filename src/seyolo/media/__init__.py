"""Images, videos, cameras and streams in; annotated media and tables out."""
