"""The section `decoding` of an experiment: how a verbalizer writes, greedily or at a temperature, and how often."""

from typing import Literal

from pydantic import Field, model_validator

from nlareport.experiment.section import Section

Stream = Literal["float32", "model"]

MOST_DRAWS = 1_000
LOWEST_TEMPERATURE = 0.01
"""The lowest above 0: scores of tokens are divided by it, and must stay numbers."""


class Decoding(Section):
    """How a verbalizer writes: greedily unless a temperature is given."""

    max_new_tokens: int = Field(default=300, ge=1)
    stream: Stream = "float32"
    """The dtype of the residual stream. `float32`: 32 bits where vectors enter at a norm of 1,000 or more or at their
    own, else the model's, which is `compute.dtype`. `model`: always the model's, as the public server computes."""
    temperature: float = Field(default=0.0, ge=0.0, le=100.0)
    """What the scores of tokens are divided by before one is drawn. 0: none is drawn, the best is written."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Tokens are drawn from the smallest set of the likeliest ones that holds this much probability."""
    draws: int = Field(default=1, ge=1, le=MOST_DRAWS)
    """How many explanations are written of every item. More may be asked for later: only the new ones are written."""

    @property
    def is_greedy(self) -> bool:
        """Whether the best token is written every time."""
        return self.temperature == 0.0

    @model_validator(mode="after")
    def _draws_differ(self) -> "Decoding":
        if 0.0 < self.temperature < LOWEST_TEMPERATURE:
            raise ValueError(f"temperature: {self.temperature:g} is not 0 and below {LOWEST_TEMPERATURE:g}; give 0")
        if self.is_greedy and self.draws > 1:
            raise ValueError(
                f"draws: {self.draws} greedy explanations of a vector are all the same; give a temperature above 0, "
                "or leave draws out"
            )
        if self.is_greedy and self.top_p < 1.0:
            raise ValueError("top_p: nothing is drawn at temperature 0; give a temperature above 0, or leave top_p out")
        return self
