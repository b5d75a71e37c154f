"""Checks Kubernetes manifests without a cluster: what an API server, the Ray autoscaler and this house would refuse."""
