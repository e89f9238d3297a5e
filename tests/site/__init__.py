"""Tests of the documentation in a browser."""
