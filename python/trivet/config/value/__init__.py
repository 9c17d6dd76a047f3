"""The types of options, and how their written forms are read."""
