"""What to think of a configuration before GPU hours are spent on it."""
