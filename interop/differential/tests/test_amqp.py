"""The codec: what it writes it reads, and what others write too."""

import unittest

from differential import amqp
from differential.amqp import Malformed, Typed


class Frames(unittest.TestCase):
    def test_a_frame_is_split_where_it_ends(self):
        octets = amqp.frame(amqp.METHOD, 7, b"abc") + b"rest"
        self.assertEqual(amqp.split_frame(octets), ((1, 7, b"abc"), b"rest"))

    def test_a_cut_frame_waits_for_more(self):
        octets = amqp.frame(amqp.BODY, 1, b"abc")
        for length in range(len(octets)):
            self.assertIsNone(amqp.split_frame(octets[:length]))

    def test_a_wrong_end_is_malformed(self):
        with self.assertRaises(Malformed):
            amqp.split_frame(amqp.frame(amqp.METHOD, 0, b"", end=0))


class Methods(unittest.TestCase):
    def test_octets_are_those_of_the_specification(self):
        # AMQP 4.2.5: two bits share the octet behind the names.
        octets = amqp.method("basic.publish", exchange="x", routing_key="k", immediate=True)
        self.assertEqual(octets, b"\x00\x3c\x00\x28\x00\x00\x01x\x01k\x02")
        self.assertEqual(amqp.method("exchange.unbind-ok"), b"\x00\x28\x00\x33")

    def test_every_method_is_read_as_it_was_written(self):
        values = {
            "bit": True, "octet": 200, "short": 60000, "long": 2**31, "longlong": 2**63, "shortstr": b"\xff short",
            "longstr": b"long" * 100, "table": [("k", Typed("I", -1))],
        }  # fmt: skip
        for name, layout in amqp.METHODS.items():
            fields = {field: values[kind] for field, kind in layout.fields}
            self.assertEqual(amqp.read_method(amqp.method(name, **fields)), (name, fields))

    def test_more_than_eight_bits_take_two_octets(self):
        fields = tuple((f"b{number}", "bit") for number in range(9))
        self.assertEqual(amqp._write_fields(fields, {"b0": True, "b8": True}), b"\x01\x01")

    def test_what_is_unknown_cut_or_too_long_is_malformed(self):
        for octets in (b"", b"\x00\x63\x00\x01", amqp.method("tx.select") + b"x", amqp.method("channel.open")[:-1]):
            with self.assertRaises(Malformed):
                amqp.read_method(octets)

    def test_unknown_fields_are_a_mistake_of_the_script(self):
        with self.assertRaises(TypeError):
            amqp.method("tx.select", nonsense=1)


class Tables(unittest.TestCase):
    VALUES = [
        Typed("t", 7), Typed("b", -8), Typed("B", 200), Typed("s", -300), Typed("u", 60000), Typed("I", -70000),
        Typed("i", 4000000000), Typed("l", -(2**40)), Typed("L", -5), Typed("f", 0.5), Typed("d", 1.25),
        Typed("D", (2, 4000000000)), Typed("S", b"\xff"), Typed("x", b"\0"), Typed("T", 2**63), Typed("V"),
        Typed("F", [("a", Typed("I", 1)), ("a", Typed("V"))]), Typed("A", [Typed("t", 0), Typed("A", [])]),
    ]  # fmt: skip

    def test_values_keep_type_order_and_duplicates(self):
        table = [(f"key {at % 5}", value) for at, value in enumerate(self.VALUES)]
        self.assertEqual(amqp.read_table(amqp.table_octets(table)), table)

    def test_plain_values_get_their_usual_types(self):
        plain = {"a": True, "b": 1, "c": 2**40, "d": 1.5, "e": "text", "f": None, "g": [1], "h": {"i": b"x"}}
        tags = [value.tag for _, value in amqp.entries(plain)]
        self.assertEqual("".join(tags), "tIldSVAF")

    def test_an_unknown_type_can_be_written_and_not_read(self):
        octets = amqp.table_octets([("k", Typed("U", b"\0\1"))])
        self.assertEqual(octets, b"\x01kU\0\1")
        with self.assertRaises(Malformed):
            amqp.read_table(octets)


class Content(unittest.TestCase):
    def test_properties_stand_in_the_order_of_their_flags(self):
        octets = amqp.content_header(5, {"priority": 3, "content_type": "text/plain"})
        self.assertEqual(octets[:14], b"\x00\x3c\x00\x00" + b"\0" * 7 + b"\x05" + b"\x88\x00")
        self.assertEqual(amqp.read_content_header(octets), (5, {"content-type": b"text/plain", "priority": 3}))

    def test_broken_headers_can_be_written_and_not_read(self):
        for octets in (
            amqp.content_header(0, weight=1), amqp.content_header(0, class_id=50), amqp.content_header(0, b"\x80\x00"),
            amqp.content_header(0, b"\x00\x00x"),
        ):  # fmt: skip
            with self.assertRaises(Malformed):
                amqp.read_content_header(octets)
