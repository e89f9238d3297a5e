"""The version of this library, for its metadata and its reports."""

__version__ = "0.1.0"
