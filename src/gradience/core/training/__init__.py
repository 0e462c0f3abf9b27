"""A training that is under way: what was seen at a step, and what is said about it."""
