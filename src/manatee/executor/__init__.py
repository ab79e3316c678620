"""The guest's agent: attests, gets the keys, runs the notebook, checks, seals and signs.

It runs as `python -I -m manatee.executor RUN_DIR` inside the guest and is the only process there
that ever holds a key. It believes neither its host (everything that comes in is bound by digest or
evidence) nor the kernel that runs the researcher's code (everything that comes out is capped,
parsed strictly and checked).

This package imports almost nothing: the driver and the joiner load it too, and start-up time is
part of every run.
"""

from manatee.executor._places import Places

__all__ = ["Places"]
