"""The one place that sleeps: poll a condition until it is true or time is
up."""

import time


def until(condition, what, deadline=10.0):
    """Return the first true value of condition(); fail with `what` if none."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline} s: {what}")
        time.sleep(0.01)


def stays(condition, seconds):
    """Is the condition true all the time for this long?"""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not condition():
            return False
        time.sleep(0.01)
    return True
