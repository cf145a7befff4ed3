"""Design problems that ship with moopim, imported as ``moopim.problems``."""

if __name__ == "problems":
    raise ImportError("import moopim.problems, not problems")
