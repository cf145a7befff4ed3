"""Layer tables of neural networks."""
