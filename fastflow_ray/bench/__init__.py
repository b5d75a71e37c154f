"""The side-by-side benchmark against other ways of making flow models cheaper. Knows no jobs, no queue, no fleet.

`fastflow-ray bench` measures every method on the same prompts, seeds and regimes, counts the work that was really
done, and draws the comparison. Packages of peers are imported here and nowhere else.
"""
