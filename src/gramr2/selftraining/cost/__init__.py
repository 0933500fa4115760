"""What a run will cost, before it is started: a plan of its stages, and a probe of this machine (``gramr2 check --cost``)."""
