"""Tests of gradience.core.config."""
