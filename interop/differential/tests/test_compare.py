"""Differences, and their explanations."""

import os
import tempfile
import unittest

from differential import explain
from differential.compare import Difference, compare
from differential.transcript import Event


def differences(rabbitmq, leveret):
    return [(each.field, each.rabbitmq, each.leveret) for each in compare("s", {"A.1": rabbitmq}, {"A.1": leveret})]


class Compare(unittest.TestCase):
    def test_equal_transcripts_do_not_differ(self):
        events = [Event("tx.select-ok"), Event("basic.deliver", {"body": "1"})]
        self.assertEqual(differences(events, list(events)), [])

    def test_fields_are_told_one_by_one(self):
        left = Event("channel.close", {"reply-code": "404", "class-id": "50"})
        right = Event("channel.close", {"reply-code": "406", "class-id": "50"})
        self.assertEqual(differences([left], [right]), [("channel.close.reply-code", "404", "406")])

    def test_a_field_that_one_lacks_is_absent(self):
        left, right = Event("m", {"a": "1"}), Event("m")
        self.assertEqual(differences([left], [right]), [("m.a", "1", "(absent)")])

    def test_an_event_more_shifts_nothing(self):
        one, two = Event("m", {"a": "1"}), Event("n", {"b": "2"})
        self.assertEqual(differences([one], [two, one]), [("n", "(absent)", "n b=2")])

    def test_order_is_that_of_the_keys_that_both_have(self):
        left, right = Event("m", {"h.(order)": "a b"}), Event("m", {"h.(order)": "a x b"})
        self.assertEqual(differences([left], [right]), [])
        right = Event("m", {"h.(order)": "b x a"})
        self.assertEqual(differences([left], [right]), [("m.h.(order)", "a b", "b a")])

    def test_a_place_that_one_lacks_differs(self):
        found = compare("s", {}, {"A.0": [Event("tcp", {"how": "closed"})]})
        self.assertEqual([(each.at, each.field) for each in found], [("A.0", "tcp")])


class Explain(unittest.TestCase):
    def load(self, text):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "differences.toml")
            with open(path, "w") as file:
                file.write(text)
            return explain.load(path)

    ENTRY = """
        [[difference]]
        script = ["a.*", "b.c"]
        field = "channel.close.reply-*"
        rabbitmq = "40*"
        reason = "as it should be"
    """

    def test_only_what_matches_in_every_part_is_explained(self):
        [explanation] = self.load(self.ENTRY)
        good = Difference("a.x", "A.1", "channel.close.reply-code", "404", "406")
        self.assertTrue(explanation.explains(good))
        for other in (
            Difference("b.d", "A.1", "channel.close.reply-code", "404", "406"),
            Difference("a.x", "A.1", "channel.close.class-id", "404", "406"),
            Difference("a.x", "A.1", "channel.close.reply-code", "504", "406"),
        ):
            self.assertFalse(explanation.explains(other))

    def test_what_no_longer_occurs_is_told_if_its_scripts_were_played(self):
        [explanation] = self.load(self.ENTRY)
        everything = ["a.x", "a.y", "b.c"]
        self.assertEqual(explanation.missing({"a.x"}, everything), [])
        self.assertEqual(explanation.missing(set(everything), everything), ["a.*", "b.c"])
        explanation.explains(Difference("a.x", "A.1", "channel.close.reply-code", "404", "406"))
        self.assertEqual(explanation.missing(set(everything), everything), ["b.c"])

    def test_a_pattern_without_a_script_is_told(self):
        [explanation] = self.load(self.ENTRY)
        self.assertEqual(explanation.missing({"d.e"}, ["d.e"]), ["a.*", "b.c"])

    def test_sometimes_need_not_occur(self):
        [explanation] = self.load(self.ENTRY + "sometimes = true")
        self.assertEqual(explanation.missing({"b.c"}, ["b.c"]), [])

    def test_mistakes_in_the_file_are_told(self):
        for text in ("[[difference]]\nscript = 'a'", "[[difference]]\nscript='a'\nfield='b'\nreason='c'\nwhy='d'"):
            with self.assertRaises(ValueError):
                self.load(text)

    def test_only_the_star_is_special(self):
        self.assertTrue(explain.glob("a[0].*").fullmatch("a[0].b\nc"))
        self.assertFalse(explain.glob("a[0].*").fullmatch("a0.b"))
