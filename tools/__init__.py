"""Programs that made what is shipped: run by developers, not installed."""
