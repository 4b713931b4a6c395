"""The workstation's second half: a trained run to ONNX and TFLite, through the gate, to a bundle."""
