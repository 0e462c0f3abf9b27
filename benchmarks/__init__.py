"""Measurements, never tests: each entry takes path, floor and peer in one run, as ratios."""
