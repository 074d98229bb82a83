"""Who shares which neurons: index sets and identities, from which the weights of partly shared models follow.

Every neuron has an identity, a 64-bit number. An element of a weight is a function of its layer, its row's identity, its
column's identity and its place in the kernel, so elements of two models are equal exactly where the identities are, and
the number of distinct identities is the number of floats that a file without any repetition stores.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Ids = list[np.ndarray]  # one array of uint64 a model: the identities of its channels, in its own order

ARRANGEMENTS = ["leading", "scattered", "permuted"]
WIDTHS = ["equal", "differ"]


def mix(*parts: np.ndarray | int) -> np.ndarray:
    """One identity from several, broadcasting; unequal parts give unequal identities but for a chance of 2^-64."""
    with np.errstate(over="ignore"):
        h = np.uint64(0x9E3779B97F4A7C15)
        for part in parts:
            h = (h ^ np.asarray(part, np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
            h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            h = h ^ (h >> np.uint64(31))
        return h


def normal(ids: np.ndarray) -> np.ndarray:
    """Standard normal values, a function of the identities."""
    u, v = ((mix(ids, salt) >> np.uint64(11)).astype(np.float64) / 2.0**53 for salt in (1, 2))
    return np.sqrt(-2 * np.log1p(-u)) * np.cos(2 * np.pi * v)


class Population:
    """Draws the neurons of layers as MTZ shares them: a shared neuron has one identity in all models that share it.

    `fraction`: of the neurons of a layer that are shared. `widths`: "equal", or "differ": the specific parts have
    other sizes in each model, also none. `subsets`: a part of the shared neurons belongs to some models only. `scale`:
    multiplies the widths of layers.
    `arrangement`: "leading": the shared ones come first; "scattered": they lie between the others, in one order in all
    models; "permuted": every model has an order of its own.
    """

    def __init__(
        self,
        seed: int,
        models: int,
        fraction: float,
        arrangement: str = "leading",
        widths: str = "equal",
        subsets: bool = False,
        scale: int = 1,
    ) -> None:
        self.random = np.random.default_rng(seed)
        self.models, self.fraction = models, fraction
        self.arrangement, self.widths, self.scale = arrangement, widths, scale
        everyone = tuple(range(models))
        self.sharers = [everyone]  # sets of models that share neurons
        if subsets and models > 2:
            half = models // 2
            self.sharers += [everyone[:half], everyone[half:]] if models > 3 else [(0, 1), (1, 2), (0, 2)]
            self.sharers = [s for s in self.sharers if len(s) > 1]
        self._drawn = 0  # identities
        self._layers = 0

    def _fresh(self, count: int) -> np.ndarray:
        ids = mix(np.arange(self._drawn, self._drawn + count), 77)
        self._drawn += count
        return ids

    def common(self, count: int) -> Ids:
        """Channels that are the same in all models and stay where they are: those of an input."""
        ids = self._fresh(count)
        return [ids.copy() for _ in range(self.models)]

    def specific(self, counts: Sequence[int]) -> Ids:
        """Channels of one model each: the classes of a head."""
        return [self._fresh(count) for count in counts]

    def layer(self, width: int, group: int = 1) -> Ids:
        """About `width` neurons a model. Groups of `group` successive ones (a head of attention) stay together."""
        width *= self.scale
        wanted = round(self.fraction * width)
        if 0 < self.fraction < 1:
            wanted = min(max(wanted, 1), max(width - 1, 1))
        members: list[list[np.ndarray]] = [[] for _ in range(self.models)]
        keys: list[list[np.ndarray]] = [[] for _ in range(self.models)]
        parts = [wanted] if len(self.sharers) == 1 else self._split(wanted, len(self.sharers))
        for sharers, count in zip(self.sharers, parts, strict=True):
            ids, key = self._fresh(count), self.random.random(count)
            for m in sharers:
                members[m].append(ids)
                keys[m].append(key)
        for m in range(self.models):
            count = width - wanted
            if self.widths == "differ":
                count = max(0, count + int(self.random.integers(-count, max(width // 3, 1) + 1)))
            count = max(count, 1 - sum(len(i) for i in members[m]))
            members[m].append(self._fresh(count))
            keys[m].append(self.random.random(count))
        return [self._arranged(np.concatenate(i), np.concatenate(k), group) for i, k in zip(members, keys, strict=True)]

    def _split(self, count: int, parts: int) -> list[int]:
        rest = count // 2 // (parts - 1) if parts > 1 else 0
        return [count - rest * (parts - 1)] + [rest] * (parts - 1)

    def _arranged(self, ids: np.ndarray, keys: np.ndarray, group: int) -> np.ndarray:
        if self.arrangement == "scattered":
            ids = ids[np.argsort(keys)]
        elif self.arrangement == "permuted":
            ids = self.random.permutation(ids)
        return ids if group == 1 else mix(ids[:, None], np.arange(group)).reshape(-1)

    def rows(self, channels: Ids) -> Ids:
        """Identities of the rows of a layer that produces `channels`: those of its neurons."""
        return channels


class Rows(Population):
    """Draws rows as partial fine-tuning shares them: neurons correspond everywhere, some rows keep their weights.

    "leading" and "scattered": corresponding neurons have equal indices, and the kept rows come first or anywhere;
    "permuted": every model has an order of its own in one layer (the second), and its readers' columns follow. All
    widths are equal, whatever `widths` says.
    """

    def layer(self, width: int, group: int = 1) -> Ids:
        self._layers += 1
        ids = self._fresh(width * self.scale)
        permuted = self.arrangement == "permuted" and self._layers == 2
        arranged = [self.random.permutation(ids) if permuted else ids for _ in range(self.models)]
        return [a if group == 1 else mix(a[:, None], np.arange(group)).reshape(-1) for a in arranged]

    def specific(self, counts: Sequence[int]) -> Ids:
        return self.common(min(counts))

    def rows(self, channels: Ids) -> Ids:
        everyone = np.unique(np.concatenate(channels))
        kept = round(self.fraction * len(everyone))
        if 0 < self.fraction < 1:
            kept = min(max(kept, 1), len(everyone) - 1)
        order = np.arange(len(everyone)) if self.arrangement == "leading" else self.random.permutation(len(everyone))
        parts = [kept] if len(self.sharers) == 1 else self._split(kept, len(self.sharers))
        owner = np.tile(np.arange(1, self.models + 1, dtype=np.uint64)[:, None], (1, len(everyone)))
        first = 0
        for number, (sharers, count) in enumerate(zip(self.sharers, parts, strict=True)):
            owner[np.ix_(sharers, order[first : first + count])] = 100 + number
            first += count
        return [mix(c, owner[m][np.searchsorted(everyone, c)]) for m, c in enumerate(channels)]
