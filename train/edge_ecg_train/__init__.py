"""The workstation's first half: data sets, training and honest evaluation."""
