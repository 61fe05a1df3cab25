"""Services refused on the real kernel: needs root."""
