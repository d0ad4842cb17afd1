"""When a Region may be deployed to: zones, daily windows, freezes. Pure, and no clock of its own.

Everything is compared as seconds since 1970 in UTC (`Interval`); local time is where windows are
written and where they are shown. Nothing here holds up a rollback: see `gate`.
"""
