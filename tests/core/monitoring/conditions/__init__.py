"""Tests of gradience.core.monitoring."""
