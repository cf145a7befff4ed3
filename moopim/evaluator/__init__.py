"""The shared evaluation backend: log, cache and executors."""
