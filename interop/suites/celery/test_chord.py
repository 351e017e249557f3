"""Chords, which results over the broker do not have: results are files. Celery asks whether the parts of a chord are
done by a task that is published again with a countdown until they are.
"""

from celery import chord
from tasks import add, total

ANSWER_SECS = 20


def test_a_chord_calls_back_with_all_results():
    assert chord(add.s(number, number) for number in range(10))(total.s()).get(timeout=ANSWER_SECS) == 90


def test_a_chord_of_one_calls_back():
    assert chord([add.s(1, 2)])(total.s()).get(timeout=ANSWER_SECS) == 3
