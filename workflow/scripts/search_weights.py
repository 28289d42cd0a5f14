"""Choose the fusion weights of one split on held-out training videos."""

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake
at = snakemake.wildcards

with job(snakemake.log[0], f"weights {at.dataset} {at.experiment} split {at.split}"):
    from tsn.datasets.index import read_index
    from tsn.evaluation.fusion import merge_experiments
    from tsn.evaluation.scores import read_scores
    from tsn.evaluation.search import search_weights
    from tsn.runtime.files import write_json

    params = snakemake.params
    read = [read_scores(path, params.pooling) for path in snakemake.input.scores]
    scores = merge_experiments(read, params.fuse)
    index = read_index(snakemake.input.index)
    write_json(
        snakemake.output.weights,
        search_weights(scores, index, int(at.split), params.fuse),
    )
