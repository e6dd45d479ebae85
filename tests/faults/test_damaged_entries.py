"""An LMDB in which a key is missing or a value is damaged: the error names the key and the remedy."""

import lmdb
import pytest

from tests.training.test_prepare import SIZE, closed, entries, figures, output, run  # noqa: F401 (fixtures)
from training.deepfashion.store import PreparedError, PreparedStore


@pytest.mark.parametrize("damage, message", [(None, "is missing"), (b"NTP1", "not an entry"), ("flip", "checksum")])
def test_damaged_entries_are_named_and_made_again(figures, output, damage, message):  # noqa: F811
    run(figures, output)
    store = PreparedStore(output, SIZE)
    key, whole = store.rows[0][0], entries(output)
    with lmdb.open(str(store.folder)) as environment, environment.begin(write=True) as transaction:
        if damage is None:
            transaction.delete(key.encode())
        else:
            transaction.put(key.encode(), damage if damage != "flip" else whole[key][:300] + b"?" + whole[key][301:])
    with pytest.raises(PreparedError, match=f"{key}.*{message}.*training prepare again"):
        store[0]
    store.close()
    assert run(figures, output).made == 1 and entries(output) == whole
