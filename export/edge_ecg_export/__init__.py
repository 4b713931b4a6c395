"""The workstation's second half: a trained run to ONNX and TFLite, fp32 and int8, through the gate, to a bundle."""
