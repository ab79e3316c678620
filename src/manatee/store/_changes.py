"""Tells threads of this process that something was committed; other processes poll."""

import threading


class Changes:
    """A counter that only grows, raised after every commit that others may wait for."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._count = 0

    @property
    def count(self) -> int:
        """How many changes there were."""
        return self._count

    def raised(self) -> None:
        """Count one more change and wake whoever waits."""
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def wait(self, seen: int, seconds: float) -> int:
        """Return once the count is not `seen`, or after `seconds`; returns the count."""
        with self._condition:
            self._condition.wait_for(lambda: self._count != seen, seconds)
            return self._count
