"""Proposes changes to the model catalogue from a file of prices; no network is used.

    python docs/_tools/refresh_models.py FILE --source WORDS --date YYYY-MM-DD [--write]

FILE is litellm's ``model_prices_and_context_window.json``, or a CSV whose header names columns of
the catalogue, ``name`` among them. Prints what would change, a line for each figure; ``--write``
changes the rows. Other columns of a CSV, such as windows, are told but never changed: they have
sources of their own, so a person has to look.
"""

from __future__ import annotations

import argparse
import csv
import json
from decimal import Decimal
from pathlib import Path

CATALOGUE = Path(__file__).parents[2] / "massgen_core" / "tokens" / "models.jsonl"
PREFIXES = {
    "openai": "",
    "anthropic": "",
    "google": "gemini/",
    "xai": "xai/",
    "mistral": "mistral/",
    "deepseek": "deepseek/",
    "qwen": "dashscope/",
}
"""Makers that serve their models, and how litellm calls them; others have no one price."""
TO_LITELLM = {
    "input_price": "input_cost_per_token",
    "cached_price": "cache_read_input_token_cost",
    "cache_write_price": "cache_creation_input_token_cost",
    "output_price": "output_cost_per_token",
}
LONG = (100, 128, 200, 256, 272)
"""Thousands of tokens from which on a prompt may cost more."""
PRICES = (*TO_LITELLM, "long_prompt", "long_input", "long_output")
ORDER = ("also", "source", "date")


def of_litellm(entry: dict) -> dict:
    """The columns of the catalogue that an entry fills."""
    out = {ours: _million(entry.get(theirs)) for ours, theirs in TO_LITELLM.items()}
    if not out["cache_write_price"]:
        out["cache_write_price"] = None  # 0 there means that writing has no price of its own
    base, answer = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
    for thousands in LONG:
        high = entry.get(f"input_cost_per_token_above_{thousands}k_tokens")
        if high and base and answer:
            long = entry.get(f"output_cost_per_token_above_{thousands}k_tokens", answer)
            out |= {
                "long_prompt": thousands * 1000,
                "long_input": _number(_exact(high) / _exact(base)),
                "long_output": _number(_exact(long) / _exact(answer)),
            }
    if entry.get("supports_reasoning"):
        out["reasoning"] = True
    return {key: value for key, value in out.items() if value is not None}


def of_csv(line: dict) -> dict:
    """The columns that a line fills; numbers and yes or no are read."""
    return {key: _read(value) for key, value in line.items() if key != "name" and value != ""}


def given(file: Path, rows: list[dict]) -> dict[str, dict]:
    """What the file says of each model of the catalogue it knows."""
    if file.suffix == ".csv":
        with file.open(encoding="utf-8", newline="") as lines:
            return {line["name"]: of_csv(line) for line in csv.DictReader(lines)}
    known = json.loads(file.read_text("utf-8"))
    names = {r["name"]: PREFIXES[r["provider"]] + r["name"] for r in rows if _served(r)}
    return {name: of_litellm(known[key]) for name, key in names.items() if key in known}


def changed(row: dict, said: dict, source: str, date: str) -> tuple[dict, list[str]]:
    """The row with what is said, and a line for each figure that is another."""
    told, new = [], dict(row)
    for key, value in said.items():
        if row.get(key) == value:
            continue
        told.append(f"{row['name']}: {key} {row.get(key, 'unknown')} -> {value}")
        if key in PRICES or key == "reasoning":
            new[key] = value
        else:
            told[-1] += "  (look at it: not changed)"
    if any(new.get(key) != row.get(key) for key in PRICES):
        new |= {"price_source": source, "price_date": date}
    return _ordered(new), told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--source", required=True, help="where the file is from")
    parser.add_argument("--date", required=True, help="when it was true")
    parser.add_argument("--catalogue", type=Path, default=CATALOGUE)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    head, *lines = asked.catalogue.read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    said = given(asked.file, rows)
    out = []
    for row in rows:
        new, told = changed(row, said.get(row["name"], {}), asked.source, asked.date)
        out.append(json.dumps(new, ensure_ascii=False))
        print("\n".join(told), end="\n" if told else "")
    unknown = sorted(said.keys() - {row["name"] for row in rows})
    print("".join(f"{name}: not in the catalogue\n" for name in unknown), end="")
    if asked.write:
        asked.catalogue.write_text("\n".join([head, *out]) + "\n", "utf-8")


def _served(row: dict) -> bool:
    return row.get("provider") in PREFIXES


def _exact(value: float) -> Decimal:
    return Decimal(str(value))


def _million(value: float | None) -> int | float | None:
    return None if value is None else _number(_exact(value) * 1_000_000)


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(round(value, 6))


def _read(text: str) -> object:
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    try:
        return _number(Decimal(text))
    except ArithmeticError:
        return text


def _ordered(row: dict) -> dict:
    """Other names and the sources at the end, as the rows have them."""
    last = {key: row[key] for key in ORDER if key in row}
    return {key: value for key, value in row.items() if key not in last} | last


if __name__ == "__main__":
    main()
