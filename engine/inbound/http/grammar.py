"""The filter language as a regular expression, so that the OpenAPI document says what it takes. Parses nothing."""

from __future__ import annotations

from engine.rules.filters import Dialect, Field, Kind

# What rules/filters.py reads, piece by piece; a test has both agree on random expressions.
# Python's \s spelled out: that of ECMA-262 lacks some of these and has U+FEFF besides.
_SPACES = r"\t\n\x0b\x0c\r\x1c-\x1f \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_NOT = rf"{_SPACES}\x00-\x1f"
_BARE = rf'[^{_NOT},"]+'
_QUOTED = r'"(?:[^"\\\x00-\x08\x0b\x0c\x0e-\x1f]|\\[^\x00-\x08\x0b\x0c\x0e-\x1f])+"'
_REST = rf'[^{_NOT}"]*'
_WORD = rf'(?:[^{_NOT}"A-Za-z-]{_REST}|[A-Za-z][A-Za-z_]*(?:[^{_NOT}"A-Za-z_:<>=]{_REST})?)'
_ANY_OP = "(?::|>=?|<=?|=)"
_DATE = (
    r"(?:19|20)[0-9]{2}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)"
    r"|(?:0[13578]|1[02])-31)"
)
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{3})?)?"
_ZONE = r"(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])?"
# Units from long to short, each at most once; so many digits that all of them stay below 100 years.
_UNITS = ("[0-9]{1,3}w", "[0-9]{1,4}d", "[0-9]{1,5}h", "[0-9]{1,6}m", "[0-9]{1,8}s", "[0-9]{1,11}ms")


def pattern(dialect: Dialect) -> str:
    """Return the expression that a whole filter of that dialect matches. Without look-around: not every validator has
    it.
    """
    terms = "|".join([_WORD, _QUOTED, *(f"{_any_case(name)}{_condition(field)}" for name, field in dialect.items())])
    term = f"-?(?:{terms})"
    return rf"^[{_SPACES}]*(?:{term}(?:[{_SPACES}]+{term})*[{_SPACES}]*)?$"


def _condition(field: Field) -> str:
    if field.kind in {Kind.WORDS, Kind.ID}:
        value = f"(?:{_BARE}|{_QUOTED})"
        if field.choices:
            word = "|".join(_any_case(choice) for choice in field.choices)
            value = f'(?:{word}|"(?:{word})")'
        elif field.kind is Kind.ID:
            value = '(?:#?[0-9]{1,18}|"#?[0-9]{1,18}")'
        return f"[:=]{value}(?:,{value})*"
    if field.kind is Kind.DURATION:
        return f"[<>]=?{_duration()}"
    if field.kind is Kind.SINCE:
        return f"[:=](?:{_duration()}|{_DATE}(?:T{_CLOCK}{_ZONE})?)"
    if field.kind is Kind.SIZE:
        return f"{_ANY_OP}[0-9]{{1,6}}(?:[KMGTkmgt](?:[Ii]?[Bb])?|[Bb])?"
    return f"{_ANY_OP}[0-9]{{1,15}}"


def _duration() -> str:
    choices = (first + "".join(f"(?:{one})?" for one in _UNITS[at + 1 :]) for at, first in enumerate(_UNITS))
    return f"(?:{'|'.join(choices)})"


def _any_case(word: str) -> str:
    return "".join(f"[{char.upper()}{char}]" if char.isalpha() else char for char in word)
