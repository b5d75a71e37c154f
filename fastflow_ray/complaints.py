"""What pydantic refuses, in our words. Knows the fields of nobody."""

from __future__ import annotations

from pydantic_core import ErrorDetails


def in_words(complaint: ErrorDetails) -> str:
    """What is wrong with a value, or what it has to be."""
    known = complaint.get("ctx", {})
    match complaint["type"]:
        case "value_error":
            return str(known["error"])
        case "string_too_long":
            return f"too long; at most {known['max_length']} characters"
        case "less_than_equal":
            return f"too large; at most {known['le']}"
        case "less_than":
            return f"too large; less than {known['lt']}"
        case "greater_than_equal":
            return f"too small; at least {known['ge']}"
        case "int_parsing" | "int_type" | "int_from_float":
            return "must be a whole number"
        case "float_parsing" | "float_type":
            return "must be a number"
        case "bool_parsing" | "bool_type":
            return "must be true or false"
        case "string_type":
            return "must be text"
        case _:
            return complaint["msg"].replace("Input should be", "must be", 1)
