"""Constructs: they put the manifests of the other modules into the construct tree.

The only part of this library that imports cdk8s, and with it starts Node.
"""
