"""The core: what players of an adversarial game minimise, and losses beside it. No data, no recipe, no loop."""
