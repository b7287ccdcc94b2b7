"""Export to ONNX, OpenVINO and Darknet; every file is checked against the model before it gets its name."""
