def evaluate_compiled(model, tiers, genes, pace):
    return None
