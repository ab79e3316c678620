"""NVIDIA GPUs: measurement reports, their certificates and NVIDIA's reference manifests."""
