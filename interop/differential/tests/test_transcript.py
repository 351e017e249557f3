"""What may differ without meaning anything is taken out, and nothing else."""

import unittest

from differential.amqp import Typed
from differential.transcript import Event, Names, flatten, settled

GENERATED = "amq.gen-JzTY20BRgKO-HjmUJj0wLg"


class NamesTest(unittest.TestCase):
    def test_the_same_name_has_the_same_token(self):
        names = Names()
        other = GENERATED.replace("J", "K")
        self.assertEqual(names.tokens(f"queue '{GENERATED}'"), "queue '<gen 1>'")
        self.assertEqual(names.tokens(f"{other} {GENERATED}"), "<gen 2> <gen 1>")

    def test_kinds_are_counted_apart(self):
        names = Names()
        names.tokens(GENERATED)
        self.assertEqual(names.tokens("amq.ctag-JzTY20BRgKO-HjmUJj0wLg"), "<ctag 1>")
        self.assertEqual(names.tokens("amq.rabbitmq.reply-to.g1h+/=.a=="), "<reply-to 1>")

    def test_names_that_only_look_so_stay(self):
        names = Names()
        for name in ("amq.gen-short", "amq.rabbitmq.reply-to", "amq.direct"):
            self.assertEqual(names.tokens(name), name)

    def test_the_suffix_of_the_run_is_left_out(self):
        self.assertEqual(Names("~1234").tokens("no queue 'q~1234' in vhost '/'"), "no queue 'q' in vhost '/'")

    def test_broken_lines_of_long_terms_are_joined(self):
        self.assertEqual(Names().tokens("{a,\n          0}"), "{a,0}")


class Flatten(unittest.TestCase):
    def test_paths_name_every_value_with_its_type(self):
        headers = [("a", Typed("F", [("b", Typed("A", [Typed("I", 1), Typed("V")]))])), ("c", Typed("S", b"\xff"))]
        flat = flatten({"properties.headers": headers, "redelivered": True}, Names())
        self.assertEqual(
            flat,
            {
                "properties.headers.a": "F", "properties.headers.a.b": "A of 2", "properties.headers.a.b[0]": "I:1",
                "properties.headers.a.b[1]": "V", "properties.headers.a.(order)": "b",
                "properties.headers.c": "S:0xff", "properties.headers.(order)": "a c", "redelivered": "yes",
            },
        )  # fmt: skip

    def test_duplicates_are_told_apart(self):
        flat = flatten({"headers": [("k", Typed("I", 1)), ("k", Typed("l", 1))]}, Names())
        self.assertEqual((flat["headers.k"], flat["headers.k#2"]), ("I:1", "l:1"))

    def test_times_of_deaths_are_left_out_and_other_times_stay(self):
        death = Typed("F", [("time", Typed("T", 1700000000))])
        flat = flatten({"headers": [("x-death", Typed("A", [death])), ("time", Typed("T", 5))]}, Names())
        self.assertEqual((flat["headers.x-death[0].time"], flat["headers.time"]), ("T:<time>", "T:5"))

    def test_long_bodies_are_shown_by_length_and_checksum(self):
        first, second = (flatten({"body": octet * 5000}, Names())["body"] for octet in (b"a", b"b"))
        self.assertTrue(first.startswith("<5000 octets, checksum "))
        self.assertNotEqual(first, second)


class Settled(unittest.TestCase):
    def test_confirms_beside_each_other_are_sorted_and_pass_nothing_else(self):
        def confirm(tag):
            return Event("basic.ack", {"delivery-tag": str(tag)})

        other = Event("basic.return")
        events = [confirm(10), confirm(9), other, confirm(8)]
        self.assertEqual(settled(events), [confirm(9), confirm(10), other, confirm(8)])
