"""Vectorised genetic operators on integer genomes, as pymoo operators."""
