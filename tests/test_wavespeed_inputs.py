"""A submit that the provider would refuse, or that would call something else than a model, stops here."""

from __future__ import annotations

from typing import Any

import pytest

from service import errors
from service.wavespeed import validate

MODEL = "wavespeed-ai/instant-character"
GOOD = {"prompt": "a knight", "image": "https://images.example/knight.png"}


def complaint(model: str, inputs: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(errors.InvalidInput) as caught:
        validate(model, inputs)
    return caught.value.field, str(caught.value)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"size": "1024*1024"},
        {"size": "256*1536"},
        {"seed": -1},
        {"seed": 0},
        {"seed": 2147483647},
        {"image": "http://127.0.0.1:8000/a.png?x=1"},
        {"num_images": 4, "enable_safety_checker": False, "unheard_of": {"of": []}},
    ],
)
def test_inputs_in_range_and_unknown_ones_pass(more: dict[str, Any]) -> None:
    validate(MODEL, GOOD | more)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        *[("prompt", value, "non-empty string") for value in ["", "  \n", None, 7, ["a"]]],
        *[
            ("image", value, "http or https URL")
            for value in [
                None,
                7,
                "",
                "knight.png",
                "ftp://a.example/b",
                "data:image/png;base64,AA",
                "https://",
            ]
        ],
        *[
            ("image", value, "http or https URL")
            for value in ["https://a.example/b c", "//a.example/b", "http://[::1", "https:a.example"]
        ],
        *[
            ("size", value, "256 to 1536")
            for value in ["", "1024", "1024x1024", "255*1024", "1024*1537", "1024*1024*1", "-512*512"]
        ],
        *[
            ("size", value, "256 to 1536")
            for value in [None, 1024, [1024, 1024], " 512*512", "512*512\n", "0512*512", "9" * 5000 + "*512"]
        ],
        *[
            ("seed", value, "-1 to 2147483647")
            for value in [-2, 2147483648, 1.0, "1", None, True, False, 10**400]
        ],
    ],
)
def test_a_bad_input_is_named_with_its_range(field: str, value: object, said: str) -> None:
    found, message = complaint(MODEL, GOOD | {field: value})
    assert found == field
    assert message.startswith(f"{field}: ")
    assert said in message


@pytest.mark.parametrize("field", ["prompt", "image"])
def test_a_missing_required_input_is_named(field: str) -> None:
    inputs = {name: value for name, value in GOOD.items() if name != field}
    assert complaint(MODEL, inputs) == (field, f"{field}: is required")


def test_inputs_of_a_model_we_have_no_table_for_pass_through() -> None:
    validate("vendor/other-model", {"size": "huge", "seed": None})


@pytest.mark.parametrize(
    "model", ["a", "vendor/name", "wavespeed-ai/flux.1-dev/lora_v2", "A/b-c.d_e", "predict/x"]
)
def test_a_model_is_named_like_a_path(model: str) -> None:
    validate(model, {})


NO_PATHS = ["", "/", "/a", "a/", "a//b", "..", "a/../b", "a/..", ".", "./a", "a/./b", "a..b", "a b", "a/b\n"]
NO_NAMES = ["é/b", "a?x=1", "a#b", "a%2fb", "a\\b", "https://evil.example/a", "a@b", "a:b", "a" * 257]
OTHER_CALLS = ["predictions", "predictions/delete", "balance", "webhook/secret", "media/uploads"]


@pytest.mark.parametrize("model", [*NO_PATHS, *NO_NAMES, *OTHER_CALLS])
def test_a_name_that_would_lead_elsewhere_is_no_model(model: str) -> None:
    assert complaint(model, {})[0] == "model"
