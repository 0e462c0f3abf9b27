"""Tests of gradience.core.architecture."""
