"""The planar chip of MNSIM 2.0, which CrossNAS judges its candidates with, for whole populations of designs."""
