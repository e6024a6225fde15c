import unittest
from decimal import Decimal

from watch import Mistake, NoFigure, Thresholds, crossed, find, notice, parse_json, parse_path


class Paths(unittest.TestCase):
    def test_names_and_indexes_are_followed(self):
        document = parse_json('{"data": [{"price": 0}, {"price": 12.30, "EUR/USD": "1.08"}]}')
        self.assertEqual(find(document, parse_path("$.data[1].price")), Decimal("12.30"))
        self.assertEqual(find(document, parse_path("$['data'][-1][\"price\"]")), Decimal("12.30"))
        self.assertEqual(find(document, parse_path("$.data[1]['EUR/USD']")), Decimal("1.08"))

    def test_what_finds_more_than_one_value_is_refused(self):
        for path in ["data", "$.data[*]", "$..price", "$.data[?@.price]", "$.data[0", "$."]:
            with self.subTest(path), self.assertRaises(Mistake):
                parse_path(path)

    def test_what_is_not_there_is_named(self):
        document = parse_json('{"data": [], "text": "soon", "yes": true}')
        for path, reason in [("$.data[0]", "has no 0"), ("$.price", "has no 'price'"), ("$.data.price", "has no 'price'"),
                             ("$.text", "is no number: soon"), ("$.yes", "is no number"), ("$.data", "is no number")]:
            with self.subTest(path), self.assertRaisesRegex(NoFigure, reason):
                find(document, parse_path(path))

    def test_a_figure_that_is_none_is_no_number(self):
        with self.assertRaises(NoFigure):
            find(parse_json('{"price": "NaN"}'), parse_path("$.price"))


class Sides(unittest.TestCase):
    thresholds = Thresholds(above=Decimal(100), below=Decimal(50), margin=Decimal(5))

    def test_a_threshold_itself_is_not_over_it(self):
        self.assertEqual([self.thresholds.side(Decimal(figure), None) for figure in (49, 50, 100, 101)],
                         ["below", "between", "between", "above"])

    def test_a_figure_comes_back_by_the_margin(self):
        self.assertEqual([self.thresholds.side(Decimal(figure), "above") for figure in (96, 95)], ["above", "between"])
        self.assertEqual([self.thresholds.side(Decimal(figure), "below") for figure in (54, 55)], ["below", "between"])

    def test_decimals_are_exact(self):
        self.assertEqual(Thresholds(above=Decimal("0.3")).side(parse_json("0.1") + parse_json("0.2"), None), "between")

    def test_thresholds_that_make_no_sense_are_refused(self):
        for settings in [{}, {"above": Decimal(1), "below": Decimal(1)}, {"above": Decimal(1), "margin": Decimal(-1)}]:
            with self.subTest(settings), self.assertRaises(Mistake):
                Thresholds(**settings)


class Notices(unittest.TestCase):
    def test_only_a_crossing_is_told(self):
        self.assertFalse(crossed(None, "between"))
        self.assertTrue(crossed(None, "above"))
        self.assertFalse(crossed("above", "above"))
        self.assertTrue(crossed("above", "between"))
        self.assertTrue(crossed("above", "below"))

    def test_a_notice_says_the_figure_and_the_threshold(self):
        text = notice("<!channel>", Decimal("1E+2"), "above", Thresholds(above=Decimal("99.5")), "https://api.example.com/")
        self.assertEqual(text, ":chart_with_upwards_trend: *&lt;!channel&gt;* is 100, above 99.5\nhttps://api.example.com/")


if __name__ == "__main__":
    unittest.main()
