"""Files other programs run: ONNX and Darknet, each checked against our network before it gets its name."""
