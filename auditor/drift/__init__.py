"""Expected × observed → drifts. Pure: no clock, no I/O, no order of input shows in the output."""
