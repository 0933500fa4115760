"""Which pseudo-labels are good enough to learn from.

A filter is a file here with a class that derives from ``FilterConfig``. Nothing else names it: its entry in run files, its
counts in the report, its variant in the ablation and its line in the documentation follow from the class.
"""
