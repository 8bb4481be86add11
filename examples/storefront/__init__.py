"""A CD shop's orders, replayed through subscriber actors, each event acknowledged."""
