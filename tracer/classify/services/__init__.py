"""Which service an endpoint belongs to."""
