"""What others see of a runtime: traces, metrics, and documents in formats that other systems read.

Nothing here is imported by postroom itself. Each module is imported by its name, and what one needs beyond postroom is
an extra of its own.
"""
