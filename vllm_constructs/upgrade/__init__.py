"""What an apply of changed manifests would do to the objects of a cluster."""
