"""Two inventories → what the step from one to the other does to exposure, and to what audits see. Pure."""
