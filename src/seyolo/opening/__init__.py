"""Opening a MODEL: `describe`, `load`, `open_model` (torch, for measuring and pruning), `open_detector`.

A MODEL is a zoo name (`se-yolov3@0.25`), a Darknet `.cfg` with its `.weights`, a `.safetensors` checkpoint or
the name of a shipped detector; `open_detector` also takes exported files.
"""
