"""Tests on a real node: kubelet, containerd and runc run what we render."""
