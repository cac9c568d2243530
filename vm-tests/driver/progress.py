"""One line for each step that takes long, with the seconds since the run began."""

import os
import sys
import time

# a helper process of the same run counts from the same moment
BEGIN = float(os.environ.setdefault("UPGRADE_GATE_VM_BEGIN", str(time.monotonic())))


def say(message: str) -> None:
    print(f"...   {time.monotonic() - BEGIN:4.0f} s  {message}", file=sys.stderr, flush=True)
