"""Whether one row fails more often than another.

Trials that diverged or failed stay in the denominator. With five or ten runs a side a normal
approximation is of no use; Boschloo's exact test holds its level at any number of runs and sees
more than Fisher's (Boschloo 1970, Statistica Neerlandica 24, 1-9).
"""


def compare(failed_ours: int, n_ours: int, failed_theirs: int, n_theirs: int) -> float:
    """Return the two-sided p value of equal failure rates.

    Args:
        failed_ours, failed_theirs: trials that gave no result.
        n_ours, n_theirs: all trials that ended.

    Returns:
        1.0 where nothing speaks against equal rates: no trials on a side, none failed, or all did.

    Raises:
        ValueError: a count is negative, or more trials failed than ended.
    """
    from scipy.stats import boschloo_exact

    if not (0 <= failed_ours <= n_ours and 0 <= failed_theirs <= n_theirs):
        raise ValueError("failures are counted out of the trials that ended")
    failed, total = failed_ours + failed_theirs, n_ours + n_theirs
    if n_ours == 0 or n_theirs == 0 or failed in (0, total):
        return 1.0
    table = [[failed_ours, failed_theirs], [n_ours - failed_ours, n_theirs - failed_theirs]]
    return min(1.0, float(boschloo_exact(table).pvalue))
