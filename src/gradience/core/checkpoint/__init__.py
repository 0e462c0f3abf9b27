"""A base model's checkpoint as names: which stored tensors make up a module's weight."""
