"""What is made of the counts: totals, comparisons, sweeps, upper bounds, tables and plots."""
