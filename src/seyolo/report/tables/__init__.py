"""Tables for terminal and Markdown."""
