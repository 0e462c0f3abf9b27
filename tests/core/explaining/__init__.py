"""Tests of rank policies and suggestions."""
