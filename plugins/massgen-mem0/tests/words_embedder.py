"""An embedder that knows eight words, and the plugin that provides it."""

from massgen_core.plugin import Provides, hookimpl

WORDS = ("tea", "coffee", "train", "bike", "oslo", "paris", "red", "blue")


class Words:
    """An embedder that knows eight words."""

    identity = "words/eight/1/8/count"
    dimensions = len(WORDS)

    def __init__(self, settings=None, ctx=None):
        self.texts = []

    async def embed(self, texts, /, *, purpose):
        self.texts += texts
        return [[text.lower().count(word) + 0.01 for word in WORDS] for text in texts]

    async def close(self): ...


@hookimpl
def massgen_embedder():
    return Provides(name="words", factory="words_embedder:Words")
