"""The `detect` run: images, videos and cameras in; annotated media, labels and tables out."""
