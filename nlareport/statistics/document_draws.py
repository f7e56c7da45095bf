"""Bootstrap over documents: the drawn documents of one run, V on each draw, and the rule by which an interval exists.

A `DocumentDraws` is made once a run and handed to every statistic. All of them then share the drawn documents, so they
can be compared draw by draw. All items of a document move together, because positions of one text are not independent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float64, Int, Int64

from nlareport.batches import ActivationBatch
from nlareport.rows.item_rows import Item
from nlareport.rows.run_rows import Pair, PairId
from nlareport.statistics.geometry import rescaled_fve, unit_rows
from nlareport.statistics.resampling import bootstrap_columns, bootstrap_variances, document_codes, percentile_interval

Interval = tuple[float, float] | tuple[None, None]

NO_INTERVAL: Interval = (None, None)


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Values to take the mean of, and the document of each."""

    values: Float[np.ndarray, " value"]
    documents: Int[np.ndarray, " value"]
    """Numbers from 0, of all the run's documents."""

    @property
    def has_interval(self) -> bool:
        """Whether the values come from at least two documents: what one document says varies in no draw."""
        return bool((self.documents != self.documents[:1]).any())


@dataclass(frozen=True, slots=True, eq=False)
class VarianceScale:
    """V of one target, as a run's errors are measured in it."""

    variance: float | None = None
    """None where it is not known."""
    drawn: Float64[np.ndarray, " draw"] | None = None
    """V of the items of each draw. None: V is held fixed."""

    def share(self, errors: Float64[np.ndarray, " draw"]) -> Float64[np.ndarray, " draw"]:
        """A mean `mse_nrm`, or a difference of two, on each draw as a share of V."""
        fixed = np.nan if self.variance is None else self.variance
        shares: Float64[np.ndarray, " draw"] = errors / (fixed if self.drawn is None else self.drawn)
        return shares

    def fve(self, errors: Float64[np.ndarray, " draw"]) -> Float64[np.ndarray, " draw"]:
        """`fve_nrm` of a mean `mse_nrm` on each draw."""
        return 1.0 - self.share(errors)

    def rescale(self, fve: Float64[np.ndarray, " draw"]) -> Float64[np.ndarray, " draw"]:
        """A mean `fve_nrm` on each draw, which stands on the fixed V, on the scale of V of that draw."""
        return rescaled_fve(fve, self._ratio)

    def rescale_difference(self, difference: Float64[np.ndarray, " draw"]) -> Float64[np.ndarray, " draw"]:
        """A difference of two mean `fve_nrm` on each draw, likewise."""
        rescaled: Float64[np.ndarray, " draw"] = difference * self._ratio
        return rescaled

    @property
    def _ratio(self) -> Float64[np.ndarray, " draw"] | float:
        """V over that of each draw."""
        return 1.0 if self.drawn is None or not self.variance else self.variance / self.drawn


@dataclass(frozen=True, slots=True, eq=False)
class DocumentDraws:
    """What every interval of a run is drawn from."""

    documents: Int64[np.ndarray, " item"]
    """The document of each item in item order, numbered from 0."""
    n_draws: int
    seed: int
    place_of: Mapping[int, int] = field(default_factory=dict)
    """Where each item_id stands in item order; empty where values come with their documents."""
    scales: Mapping[PairId, VarianceScale] = field(default_factory=dict)
    """V by target."""

    @classmethod
    def of(
        cls,
        items: Iterable[Item],
        n_draws: int,
        seed: int,
        pairs: Iterable[Pair] = (),
        golds: Mapping[PairId, ActivationBatch] | None = None,
    ) -> "DocumentDraws":
        """The draws of a run with these items, in any order.

        V of the pairs in `golds`, which hold all the items, is drawn with the documents; V of the others stays fixed.

        Raises:
            ZeroVector: an activation has norm 0.
        """
        ordered = sorted(items, key=lambda item: item.item_id)
        place_of = {item.item_id: place for place, item in enumerate(ordered)}
        fixed = cls(document_codes([item.doc_id for item in ordered]), n_draws, seed, place_of)
        scales = {
            pair.pair_id: VarianceScale(pair.variance_nrm, fixed.variances((golds or {}).get(pair.pair_id)))
            for pair in pairs
        }
        return cls(fixed.documents, n_draws, seed, place_of, scales)

    def variances(self, gold: ActivationBatch | None) -> Float64[np.ndarray, " draw"] | None:
        """V of golds of all the items on each draw; None without golds.

        Raises:
            ZeroVector: an activation has norm 0.
        """
        if gold is None:
            return None
        return bootstrap_variances(
            unit_rows(gold.vectors), self.documents_of(gold.item_ids.tolist()), self.n_draws, self.seed
        )

    def places(self, item_ids: Iterable[int]) -> Int64[np.ndarray, " value"]:
        """Where these items stand in item order."""
        return np.array([self.place_of[item_id] for item_id in item_ids], dtype=np.int64)

    def documents_of(self, item_ids: Iterable[int]) -> Int64[np.ndarray, " value"]:
        """The document of each of these items."""
        documents: Int64[np.ndarray, " value"] = self.documents[self.places(item_ids)]
        return documents

    def column(self, values: Float[np.ndarray, " value"], item_ids: Iterable[int]) -> Column:
        """A column of these items' values."""
        return Column(values, self.documents_of(item_ids))

    def on_scale(self, target: PairId) -> VarianceScale:
        """V of a target."""
        return self.scales.get(target, VarianceScale())

    def means(self, columns: Sequence[Column]) -> list[Float64[np.ndarray, " draw"] | None]:
        """The mean of each column on every draw of documents; None for a column that has no interval.

        NaN where a draw holds none of a column's items.
        """
        drawable = [(column.values, column.documents) for column in columns if column.has_interval]
        if not drawable:
            return [None] * len(columns)
        n_documents = int(self.documents.max()) + 1
        drawn = iter(bootstrap_columns(drawable, n_documents, self.n_draws, self.seed).T)
        return [next(drawn) if column.has_interval else None for column in columns]

    def intervals(self, columns: Sequence[Column]) -> list[Interval]:
        """The 95% interval of each column's mean."""
        return [interval(means) for means in self.means(columns)]


def interval(drawn: Float64[np.ndarray, " draw"] | None) -> Interval:
    """The 95% percentile interval of a statistic that was drawn; no ends for one that was not."""
    return NO_INTERVAL if drawn is None else percentile_interval(drawn)
