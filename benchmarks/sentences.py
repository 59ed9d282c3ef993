"""Sentences as people say them about themselves, many and varied, and vectors of them in any number."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import numpy as np
from memori.embedding.base import Embedder
from numpy.typing import NDArray

_PEOPLE = [
    "Ada", "Bob", "Grace", "Linus", "Margaret", "Alan", "Edsger", "Barbara", "Donald", "Frances", "Ken", "Radia",
    "Tim", "Katherine", "Guido", "Hedy",
]  # fmt: skip
_KIN = [
    "sister", "brother", "mother", "father", "cousin", "neighbour", "colleague", "boss", "teacher", "friend",
    "daughter", "son",
]  # fmt: skip
_CITIES = [
    "Berlin", "Paris", "Lisbon", "Osaka", "Nairobi", "Lima", "Oslo", "Delhi", "Cairo", "Quito", "Perth", "Tallinn",
    "Boston", "Seoul", "Porto", "Graz",
]  # fmt: skip
_FOODS = [
    "sushi", "ramen", "curry", "lentils", "tofu", "mangoes", "walnuts", "oysters", "pancakes", "olives", "rhubarb",
    "kimchi", "porridge", "tacos",
]  # fmt: skip
_HOBBIES = [
    "chess", "climbing", "pottery", "birdwatching", "rowing", "knitting", "astronomy", "gardening", "fencing",
    "calligraphy", "surfing", "beekeeping", "photography", "archery", "woodworking", "baking bread",
    "playing the cello", "restoring clocks", "running marathons", "origami",
]  # fmt: skip
_JOBS = [
    "nurse", "architect", "welder", "translator", "pilot", "baker", "lawyer", "geologist", "dentist", "librarian",
    "plumber", "data analyst",
]  # fmt: skip
_THINGS = [
    "bicycle", "laptop", "piano", "camera", "tent", "kayak", "telescope", "sewing machine", "motorbike",
    "greenhouse", "passport", "sofa",
]  # fmt: skip
_TIMES = [
    "last week",
    "in March",
    "two years ago",
    "yesterday",
    "before the holidays",
    "on Friday",
    "in 2019",
    "as a child",
    "this spring",
]
_FEELINGS = [
    "loves", "hates", "avoids", "misses", "cannot stand", "is proud of", "worries about", "dreams of", "is bored by",
    "recommends",
]  # fmt: skip
_FORMS = (
    "{who} moved to {city} {time}",
    "{who}'s {kin} works as a {job} in {city}",
    "{who} {feels} {hobby}",
    "{who} bought a {thing} {time}",
    "{who} is allergic to {food} and found out {time}",
    "My {kin} {feels} {food}, especially in {city}",
    "I started {hobby} {time} with my {kin}",
    "I lost my {thing} on the way to {city} {time}",
    "{time} I had {food} with {who} and we talked about {hobby}",
    "{who} wants to become a {job} because of her {kin}",
    "The {thing} that {who} sold {time} belonged to a {job}",
    "I promised {who} to bring {food} to {city}",
    "We argued about the {thing}; {who} {feels} it",
    "My {kin} teaches {hobby} to every {job} she knows in {city}",
)


def sentences(*, seed: int = 7) -> Iterator[str]:
    """Sentences without end, the same for the same seed. A number in each makes no two of them equal."""
    chosen = random.Random(seed)
    for number in itertools.count(1):
        said = chosen.choice(_FORMS).format(
            who=chosen.choice(_PEOPLE),
            kin=chosen.choice(_KIN),
            city=chosen.choice(_CITIES),
            food=chosen.choice(_FOODS),
            hobby=chosen.choice(_HOBBIES),
            job=chosen.choice(_JOBS),
            thing=chosen.choice(_THINGS),
            time=chosen.choice(_TIMES),
            feels=chosen.choice(_FEELINGS),
        )
        yield f"{said} (entry {number})"


def embedded(embedder: Embedder, *, sample: int, seed: int = 7) -> NDArray[np.float32]:
    """Unit vectors of the first sentences, shape (sample, dimension)."""
    return embedder.embed(list(itertools.islice(sentences(seed=seed), sample)))


def spread(vectors: NDArray[np.float32], count: int, *, seed: int = 7) -> NDArray[np.float32]:
    """`count` unit vectors with the clusters of real ones: the vectors themselves, then mixtures of two of them with
    a little noise. Embedding a million sentences would take an hour.
    """
    random_numbers = np.random.default_rng(seed)
    given, dimension = vectors.shape
    made = np.empty((count, dimension), dtype=np.float32)
    made[:given] = vectors[:count]
    for start in range(given, count, 8192):
        size = min(8192, count - start)
        first, second = random_numbers.integers(given, size=(2, size))
        share = random_numbers.uniform(0.55, 0.9, size=(size, 1)).astype(np.float32)
        noise = random_numbers.standard_normal((size, dimension), dtype=np.float32) * np.float32(0.3 / dimension**0.5)
        made[start : start + size] = share * vectors[first] + (1 - share) * vectors[second] + noise
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made
