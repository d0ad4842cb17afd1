"""The file of Regions: its shapes, what is wrong with it, and how it is read."""
