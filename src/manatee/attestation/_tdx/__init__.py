"""Intel TDX."""
