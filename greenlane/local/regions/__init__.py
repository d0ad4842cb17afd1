"""Several Regions side by side: each a local cloud in a process of its own, for moto has one.

`world.LocalWorld` starts them and cuts the lines between them. In each Region's process
`neighbours` hands a request that is signed for another Region on to that Region, and `replication`
carries the writes to replicated tables over, late. A line that is cut carries neither, nor events.

Nothing is imported here, as in `greenlane.local`.
"""
