"""Importers: other people's values files as options of this library."""
