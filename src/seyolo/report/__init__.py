"""What a run shows: tables for terminal and Markdown, and plots.

`table` needs rich alone; `plots` needs matplotlib (the `train` extra) and never touches its global state.
"""
