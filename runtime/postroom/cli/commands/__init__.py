"""The commands, a file each: `register(app)` adds what is in it. Another file is another command."""
