"""The process beside one guest: limits, the guest channel, and the word on how it ended.

It stands where a hypervisor and its virtual devices stand for a machine, and is as untrusted: it
sees sealed tables, keys it cannot open and sealed outputs. It believes nothing of the guest.
"""

__all__: list[str] = []
