"""Tests of the audit report and its parts."""
