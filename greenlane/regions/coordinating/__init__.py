"""A version on its way through several Regions: the rollout, and who takes it on.

The shape:

1. **A rollout is one record** (`model.Rollout`) in the home Region's table of deployments. It has
   the waves as data, a state for each Region, an epoch and a counter of writes. One conditional
   write decides; who loses it reads again.
2. **Each Region has its own deployment**: an execution of that Region's own `deployment.asl.json`,
   with its own lease, alarms and way back, whose id is the rollout's. A Region takes itself back
   with nothing outside of it; the rollout only hears of it.
3. **Each Region has a fence** (`fencing`): the highest epoch that spoke there, and the last order
   (`go` or `back`) of which rollout. A start needs a `go` at that epoch, and the Region's own
   planning asks the fence again once it holds its lease. After `back` that rollout never starts
   there again. A `back` is taken from any epoch: going back fails open.
4. **A turn** (`turning.take_turn`) is: look at all Regions, `deciding.decide(record, seen, now)`,
   write the record, then act. What is to be done is in the record before it is done, each act is
   safe to repeat, and what came of it is seen at the next look. So a process may end anywhere.
5. **Before a wave starts** a majority of all Regions has to take the epoch. A standby that takes
   over asks a majority too, so the two meet in at least one Region, and the older one stops.
6. **The standby** in another Region has a copy of the record. What was touched it learns from the
   Regions. It holds or goes back; it never starts a Region. Home has even epochs, the standby odd
   ones, so they never have the same.
7. **Forward fails closed.** A wave starts when all before it is baked, the pause is over, every
   window is open, no Region of a pair is unbaked, whoever takes over for a Region is healthy, and
   the wave's share of live traffic is near its plan. What is not known is not so: it waits.
8. **Any Region that fails, or is silent for `SILENCE`, ends it**: no further Region starts, every
   touched Region goes back at once and in parallel, each to the version it had, whatever windows
   and freezes say. All have their turn whatever becomes of the others. What is left is named, told
   to people and tried again. Afterwards nothing starts by itself.
9. **The state machine waits** in one callback: until an instant, or until a Region's event or a
   person wakes it. Events may be lost: it looks by itself each few minutes while anything is late
   or goes back, and each hour once a Region is touched.
10. **One Region's trouble is that Region's**: what cannot be read there, of whatever kind, keeps no
    other from its turn. Going back needs no metrics, no file of Regions and no written record.

`model`, `beginning`, `fencing`, `taking_in`, `waves`, `deciding`, `turning`, `standing_in` and
`news` are pure. `store`, `fences`, `measuring` and `remote` are the edges, `running` and `tending`
what functions do, `requesting` and `api` what people and pipelines do. A word on time: every
instant is UTC, every duration is in seconds.
"""
