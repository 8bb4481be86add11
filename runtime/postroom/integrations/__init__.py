"""postroom in services: one module for each web framework, which is imported by its name and is an extra of its own."""
