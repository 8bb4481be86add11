"""Simulated processes on one store: kills, restarts, leases that run out, and a store that fails."""
