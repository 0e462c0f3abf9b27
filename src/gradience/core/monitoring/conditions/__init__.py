"""Conditions of a run that a careful reader sees in its log, one module each."""
