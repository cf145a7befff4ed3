"""CrossNAS: search a CNN, its bit widths and the circuit of a planar PIM chip together (arXiv 2505.22868)."""
