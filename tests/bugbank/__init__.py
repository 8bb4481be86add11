"""The bank of planted bugs: real mistakes, put back in memory one at a time, each of which the simulator must find."""
