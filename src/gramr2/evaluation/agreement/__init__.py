"""How far a judge agrees with people, and people with each other: ``report.agreement_of`` measures it, ``records`` is what comes
out."""
