"""Tests of gradience.core.guard."""
