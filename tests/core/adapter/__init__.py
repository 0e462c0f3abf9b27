"""Tests of the adapter as data: config, names, scaling."""
