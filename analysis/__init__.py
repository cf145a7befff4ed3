"""Pareto analysis of evaluated designs: pandas frames in, frames and figures out."""

if __name__ == "analysis":
    raise ImportError("import moopim.analysis, not analysis")
