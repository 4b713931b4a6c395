"""The Transformer of Vazquez-Rodriguez et al. (ICPR 2022): network, masked pretraining, fine-tuning."""
