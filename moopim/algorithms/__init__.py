"""Multi-objective optimisers: AMOSA, top-K search and a registry of baselines."""
