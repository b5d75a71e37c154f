"""All jobs page after page, though the record of a page's last job may be gone when the next page is asked for.

Records expire, and are deleted, while somebody reads. Knows neither Redis nor HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import dropwhile

from fastflow_ray.errors import UnknownJob
from fastflow_ray.queue.contract import JobRecord

PageAfter = Callable[[str | None], Sequence[JobRecord]]  # raises UnknownJob if there is no job of that id


def listed(page: PageAfter, size: int, newest_first: bool, after: str | None = None) -> Iterator[JobRecord]:
    """What `page` answers, whose pages hold `size` jobs and the last one fewer; raises UnknownJob for `after` alone.

    A page follows the last job of the page before that is still there. If none is, the listing begins anew, and what is
    not beyond the last one by time of submission is passed over.
    """
    shown = page(after)
    yield from shown
    while len(shown) == size:
        last = shown[-1]
        try:
            shown = _following(shown, page)
        except UnknownJob:
            yield from _beyond(last, listed(page, size, newest_first), newest_first)
            return
        yield from shown


def _following(shown: Sequence[JobRecord], page: PageAfter) -> Sequence[JobRecord]:
    for record in reversed(shown):
        with suppress(UnknownJob):
            return page(record.job_id)
    raise UnknownJob("no job of the last page is there any more")


def _beyond(last: JobRecord, records: Iterator[JobRecord], newest_first: bool) -> Iterator[JobRecord]:
    def is_shown(record: JobRecord) -> bool:
        return record.created_s >= last.created_s if newest_first else record.created_s <= last.created_s

    return dropwhile(is_shown, records)
