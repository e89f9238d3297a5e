"""Importers: values files of other charts as options of this library."""
