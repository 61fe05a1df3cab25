"""The pytest hook, its messages, and the FIFO they come through."""
