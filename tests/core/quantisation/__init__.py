"""Tests of the way from quantised parts back to matrices."""
