"""What an apply would do, from manifests alone."""
