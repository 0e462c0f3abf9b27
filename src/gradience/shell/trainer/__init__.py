"""The Hugging Face Trainer: its state, turned into events."""
