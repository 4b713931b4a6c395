"""Putting bundles on a device: what runs there (this package) and what drives it from afar (``remote``)."""
