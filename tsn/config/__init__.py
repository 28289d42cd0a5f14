"""The configuration: its keys, layers and experiments."""
