"""Arm CCA."""
