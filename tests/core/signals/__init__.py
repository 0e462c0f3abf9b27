"""Tests of gradience.core.signals."""
