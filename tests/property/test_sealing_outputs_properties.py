"""No bytes at all make the output archive reader do anything but answer or refuse."""

import string

from hypothesis import given
from hypothesis import strategies as st

from manatee.errors import SealingError
from manatee.records import OutputFile, RunOutputs
from manatee.sealing import _outputs as outputs
from manatee.sealing import new_identity, open_outputs, seal_outputs

IDENTITY, RECIPIENT = new_identity()

names = st.text(string.ascii_letters + "äß€-_ .", min_size=1, max_size=150).filter(
    lambda name: name not in {".", ".."}
)
files = st.lists(
    st.builds(lambda path, data: OutputFile(path=path, data=data), names, st.binary(max_size=700)),
    max_size=5,
    unique_by=lambda file: file.path,
)


@given(files)
def test_whatever_is_sealed_comes_back_sorted(given_files):
    given_outputs = RunOutputs(tuple(given_files))
    opened = open_outputs(seal_outputs(given_outputs, [RECIPIENT]), IDENTITY)
    assert list(opened.files) == sorted(given_files, key=lambda f: f.path)
    assert opened.salt == given_outputs.salt


@given(st.binary(max_size=3000))
def test_junk_is_refused_as_an_age_file(data):
    try:
        open_outputs(data, IDENTITY)
    except SealingError:
        return
    raise AssertionError("junk was opened")


@given(files, st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=8))
def test_a_changed_archive_is_refused_or_canonical(given_files, changes):
    data = bytearray(outputs._pack(RunOutputs(tuple(given_files))))
    for position, value in changes:
        data[position % len(data)] = value
    try:
        opened = outputs._unpack(bytes(data))
    except SealingError:
        return
    assert outputs._pack(opened) == bytes(data)
