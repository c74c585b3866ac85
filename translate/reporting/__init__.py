"""What is recorded of a run while it trains, and the pages that show it."""
