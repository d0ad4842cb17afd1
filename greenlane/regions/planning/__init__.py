"""In which order, and when, the Regions are deployed to. Pure: the clock's instant comes in.

The way of the data: a document becomes a `Situation` (`situating`), `searching` finds the waves,
`timing` says when each of them is, `planner` writes the `Plan`, and `comparing` what else could be.
"""
