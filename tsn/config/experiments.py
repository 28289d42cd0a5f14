"""Which experiments train the same network, so that each network is trained once.

Experiments of a data set often agree in all that determines one of their models: the RGB network of
"pretrain_spatial" is that of "cross_modality", and every row of the table of inputs has the RGB
network of "two_stream". The files of such a model lie with the first experiment, in the order of
the configuration, that names it; the others read them there.

Nothing here imports numpy, torch or pandas: it runs while the Snakefile is parsed.
"""

import json
from functools import cache

from tsn.config.settings import Settings, resolve, with_seed


class Experiments:
    """All experiments of a checked configuration.

    Args:
        config: the configuration, as `tsn.config.settings.check` accepts it; it must
            not change later.
    """

    def __init__(self, config: dict):
        self._names = tuple(config["experiments"])
        # Snakemake asks for the same few again and again.
        self.settings = cache(lambda dataset, experiment: resolve(config, dataset, experiment))
        self.trained_by = cache(self._trained_by)
        self.scored_by = cache(self._scored_by)

    def _trained_by(self, dataset: str, experiment: str, modality: str) -> str:
        """The experiment whose folder holds the model of a modality of an experiment."""
        return self._first(dataset, experiment, modality, _model)

    def _scored_by(self, dataset: str, experiment: str, modality: str) -> str:
        """The experiment whose folder holds the scores: the model and the test are the same."""
        return self._first(dataset, experiment, modality, _scores)

    def _first(self, dataset: str, experiment: str, modality: str, identity) -> str:
        asked = self.settings(dataset, experiment)
        wanted, seed = identity(asked, modality), asked.blocks["seed"]
        for names in (self._names, [with_seed(name, seed) for name in self._names]):
            for name in names:
                settings = self.settings(dataset, name)
                if modality in settings.modalities and identity(settings, modality) == wanted:
                    return name
        return experiment


def _model(settings: Settings, modality: str) -> str:
    """What determines a model, as text; its split and shards are the same for all experiments."""
    known = (settings.blocks["seed"], settings.model(modality), settings.training(modality))
    return json.dumps(known, sort_keys=True)


def _scores(settings: Settings, modality: str) -> str:
    """What determines the scores."""
    return _model(settings, modality) + json.dumps(settings.blocks["test"], sort_keys=True)
