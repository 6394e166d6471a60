"""Errors of the cache's file, told apart for whoever watches the metrics."""

import errno

import lmdb
import pytest

from hevfast.cache.lmdb_file import failure_of
from hevfast.core.names import Failure


def coded(error: lmdb.Error, code: int) -> lmdb.Error:
    error.code = code
    return error


KINDS = [
    (lmdb.MapFullError(), Failure.FULL),
    (lmdb.DiskError(), Failure.FULL),
    (coded(lmdb.Error("File too large"), errno.EFBIG), Failure.FULL),
    (OSError(errno.ENOSPC, "No space left on device"), Failure.FULL),
    (coded(lmdb.Error("Input/output error"), errno.EIO), Failure.FAILED),
    (OSError(errno.EACCES, "Permission denied"), Failure.FAILED),
    (lmdb.Error(), Failure.FAILED),
    (lmdb.CorruptedError(), Failure.DAMAGED),
    (coded(lmdb.InvalidError(), errno.ENOSPC), Failure.DAMAGED),
]


@pytest.mark.parametrize(("error", "failure"), KINDS, ids=lambda each: repr(each))
def test_error_is_of_its_kind(error: Exception, failure: Failure) -> None:
    assert failure_of(error) is failure
