"""Metrics as text: what is shown of bodies and of pairs, before, after and in truth."""

from warpprior.support.tables import format_before_after, format_summary


def answer(error, depth):
    """What the evaluation says of a hand and a mug, cut to a few metrics."""
    add = {"median": error, "p95": 2 * error, "max": 3 * error}
    truth = {"penetration_mm": {"median": 0.5, "max": 0.75}, "contact_ratio": 1.0, "apart_ratio": 0.0}
    pair = {"penetration_mm": {"median": depth, "max": 2 * depth}, "truth": truth}
    pair |= {"contact_ratio": 0.25, "overlap_ratio": 0.5, "apart_ratio": 0.25}
    body = {"add_mm": add, "penetration_mm": {"median": 9.0}, "failures_chamfer": {"share": 0.125}, "truth": truth}
    return {"summary": {"hand": body, "mug": body}, "pairs": {"mug+hand": {"summary": pair}}}


def rows(text):
    """Lines of a table as lists of their label and numbers."""
    return [(line[:38].strip(), line[38:].split()) for line in text.splitlines()]


def test_contact_is_shown_for_the_pair_beside_the_truth():
    """Bodies keep their errors, the pair has depth and contact, with the truth's own in a third column."""
    shown = rows(format_before_after({"before": answer(40.0, 8.0), "after": answer(2.0, 1.0)}, ["mug"]))
    assert shown == [
        ("mug", ["before", "after"]),
        ("ADD median [mm]", ["40.00", "2.00"]),
        ("ADD p95 [mm]", ["80.00", "4.00"]),
        ("ADD max [mm]", ["120.00", "6.00"]),
        ("Chamfer above 5 cm share", ["0.125", "0.125"]),
        ("mug+hand", ["before", "after", "in", "truth"]),
        ("penetration median [mm]", ["8.00", "1.00", "0.50"]),
        ("penetration max [mm]", ["16.00", "2.00", "0.75"]),
        ("frames in contact, up to 5 mm deep", ["0.250", "0.250", "1.000"]),
        ("frames that overlap by 5 mm or more", ["0.500", "0.500"]),
        ("frames without contact", ["0.250", "0.250", "0.000"]),
    ]


def test_one_answer_is_shown_alone():
    """The same with one column; pairs without a body that was asked for are left out."""
    shown = rows(format_summary(answer(40.0, 8.0), ["hand"]))
    assert ("ADD median [mm]", ["40.00"]) in shown and ("penetration median [mm]", ["8.00", "0.50"]) in shown
    assert format_summary(answer(40.0, 8.0), []) == ""


def test_without_pairs_bodies_show_their_contact():
    """Answers that measured no pair, and rows that one side lacks."""
    alone = {"summary": {"mug": {"slip_mm": {"median": 0.25}}}}
    assert rows(format_summary(alone, ["mug"])) == [("mug", []), ("slip median [mm/frame]", ["0.25"])]
    shown = rows(format_before_after({"before": {"summary": {"mug": {}}}, "after": alone}, ["mug"]))
    assert shown == [("mug", ["before", "after"]), ("slip median [mm/frame]", ["0.25"])]
    assert format_before_after({}, ["mug"]) == ""


def test_the_brief_table_has_one_row_for_each_metric_that_tells_most():
    """Medians stay, spread and rare failures go; what bodies do to each other keeps its truth."""
    answers = {"before": answer(40.0, 8.0), "after": answer(2.0, 1.0)}
    assert rows(format_before_after(answers, ["mug"], brief=True)) == [
        ("mug", ["before", "after"]),
        ("ADD median [mm]", ["40.00", "2.00"]),
        ("mug+hand", ["before", "after", "in", "truth"]),
        ("penetration median [mm]", ["8.00", "1.00", "0.50"]),
        ("frames in contact, up to 5 mm deep", ["0.250", "0.250", "1.000"]),
        ("frames that overlap by 5 mm or more", ["0.500", "0.500"]),
        ("frames without contact", ["0.250", "0.250", "0.000"]),
    ]
