"""Every quantity of the chain in plain PyTorch, straight from its formula: the oracle and the fallback."""
