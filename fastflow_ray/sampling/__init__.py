"""Integrating dx/dsigma = velocity(x, sigma) from sigma = 1 to 0 with most evaluations skipped.

Sees only `velocity(x, sigma)`; knows no bandit (a `SkipPolicy` decides) and no diffusers.
One sign convention everywhere: dsigma_k = sigma_{k+1} - sigma_k, which is negative.
"""
