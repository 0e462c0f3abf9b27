"""Tests of gradience.core.checking."""
