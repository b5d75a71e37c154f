"""One generation's plan, drawn up from what is known: the audits that judge it, the promises that rest on them, and
what it teaches. Between `bandit`, which knows no tensor, and `sampling`, which knows no bandit.
"""
