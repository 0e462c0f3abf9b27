"""Unit tests; the folders mirror src/gradience."""
