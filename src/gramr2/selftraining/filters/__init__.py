"""Which pseudo-labels are good enough to learn from.

A filter is a module here with a class that derives from ``FilterConfig``. It needs no registration: its entry in run files,
its counts in the report, its variant in the ablation and its line in the documentation follow from the class.
"""
