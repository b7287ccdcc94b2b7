"""Reports of runs: tables for terminal and Markdown, figures, and HTML pages.

`tables` needs rich alone; `figures` and `pages` need matplotlib and jinja2 (the `train` extra).
"""
