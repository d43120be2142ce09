"""The laws as pytest tests."""
