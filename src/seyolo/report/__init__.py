"""What a run shows: tables for terminal and Markdown, plots, and pages that hold all of it.

`table` needs rich alone; the rest needs matplotlib and jinja2 (the `train` extra). Plots leave matplotlib's
global state as it is.
"""
