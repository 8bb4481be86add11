"""A CD shop's orders, each one a workflow: stock, payment and order agree to the unit."""
