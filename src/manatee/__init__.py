"""The two-stage clean room."""
