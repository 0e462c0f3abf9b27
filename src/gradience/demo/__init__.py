"""The golden path on a tiny model: real training, no network, no GPU."""
