"""Hardware models of processing-in-memory accelerators, as pure functions on arrays."""
