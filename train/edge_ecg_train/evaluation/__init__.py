"""Evaluating systems on people they have not seen: sweeps, their protocols, checks and cards."""
