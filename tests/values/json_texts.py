"""Seeded random texts that may be JSON; PostgreSQL decides which are."""

from __future__ import annotations

from random import Random

_SCALARS = (
    *("null", "true", "false", "0", "-0", "-0.0", "0.10", "1E+2", "1e400", "-1e-400", "9" * 400, "9007199254740993"),
    *('""', '"\\ud800"', '"x\\udfff"', '"\\u0000"', '"\\/\\b\\f"', '"\\ud83c\\udf81"', '"\u2028\ufeff\U0010ffff"'),
)
_WRONG = ("01", "1.", ".5", "+1", "NaN", "Infinity", "nul", "'a'", '"\\x"', '"\\u12"', '"\t"', "{,}", "[1,]", "1 2", "")
_NAMES = ("a", "a", "b", "", "a.b", "$ref", "\\u0061", "\\ud800", "items", "readmodels", "é")
_SPACES = ("", "", "", " ", "\n", "\t\r\n")
_DEEP = (500, 1_200)


def json_texts(seed: int, count: int) -> list[str]:
    """Draw `count` texts; most are JSON, some only for `json`, some for neither type."""
    random = Random(seed)
    deep = ["[" * depth + '{"a":' * depth + "1" + "}" * depth + "]" * depth for depth in _DEEP]
    return [*_SCALARS, *_WRONG, *deep, *(_value(random, depth=3) for _ in range(count))]


def _value(random: Random, depth: int) -> str:
    kind = random.choice(("scalar", "array", "object", "object")) if depth else "scalar"
    if kind == "array":
        text = f"[{','.join(_value(random, depth - 1) for _ in range(random.randrange(4)))}]"
    elif kind == "object":
        members = (f'"{random.choice(_NAMES)}":{_value(random, depth - 1)}' for _ in range(random.randrange(5)))
        text = f"{{{','.join(members)}}}"
    else:
        text = random.choice(_SCALARS if random.random() < 0.98 else _WRONG)
    return f"{random.choice(_SPACES)}{text}{random.choice(_SPACES)}"
