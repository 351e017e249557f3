"""Finds what differs between two transcripts, event by event and field by field."""

import difflib
from dataclasses import dataclass

from .transcript import settled

ABSENT = "(absent)"


@dataclass(frozen=True)
class Difference:
    """`field` is `method.path`, or the method alone where only one broker sent it at all."""

    script: str
    at: str
    field: str
    rabbitmq: str
    leveret: str
    after: str = ""

    def __str__(self):
        after = f", after {self.after}" if self.after else ""
        return (
            f"{self.script} at {self.at}: {self.field}{after}\n"
            f"    rabbitmq  {self.rabbitmq}\n    leveret   {self.leveret}"
        )


def compare(script, rabbitmq, leveret):
    """All differences between two transcripts, each a dict of events by place (`A.1`: connection A, channel 1)."""
    found = []
    for at in sorted(rabbitmq.keys() | leveret.keys()):
        ours, theirs = settled(leveret.get(at, [])), settled(rabbitmq.get(at, []))
        for left, right in _pairs(theirs, ours):
            found += [Difference(script, at, *rest) for rest in _differences(left, right)]
    return found


def _pairs(theirs, ours):
    """Events side by side, aligned by name; None where the other has none."""
    matcher = difflib.SequenceMatcher(None, [e.name for e in theirs], [e.name for e in ours], autojunk=False)
    for kind, left, left_end, right, right_end in matcher.get_opcodes():
        if kind == "equal":
            yield from zip(theirs[left:left_end], ours[right:right_end], strict=True)
        else:
            yield from ((event, None) for event in theirs[left:left_end])
            yield from ((None, event) for event in ours[right:right_end])


def _differences(left, right):
    if left is None or right is None:
        event = left or right
        yield event.name, str(left) if left else ABSENT, str(right) if right else ABSENT, event.after
        return
    for path in sorted(left.fields.keys() | right.fields.keys()):
        theirs, ours = left.fields.get(path, ABSENT), right.fields.get(path, ABSENT)
        if theirs == ours:
            continue
        # Keys that only one has are told by themselves: the order is that of the others.
        if path.endswith(".(order)") and sorted(theirs.split()) != sorted(ours.split()):
            common = set(theirs.split()) & set(ours.split())
            theirs, ours = (" ".join(key for key in keys.split() if key in common) for keys in (theirs, ours))
            if theirs == ours:
                continue
        yield f"{left.name}.{path}", theirs, ours, left.after
