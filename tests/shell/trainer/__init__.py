"""The Trainer callback, in real runs."""
