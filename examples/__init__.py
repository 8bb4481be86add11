"""Programs that show postroom at work; each is a test too."""
