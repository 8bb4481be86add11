"""Web services that take in signed webhooks and stream what happens, one for each framework."""
