"""Everything that needs a live system: launch, capture, boundaries, and the recorder that joins them."""
