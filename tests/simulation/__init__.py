"""Seeded simulation of whole runtimes: random programs under random schedules, held against a plain model."""
