"""Tests of gradience.core.foreign_logs."""
