"""Laws that must hold for every input, checked with Hypothesis."""
