"""A service whose import takes long."""

import time

from tests.processes.child import say

say("importing")
time.sleep(30)
