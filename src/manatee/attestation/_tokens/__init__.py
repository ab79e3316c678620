"""Tokens: Google Confidential Space, Microsoft Azure Attestation, NVIDIA NRAS."""
