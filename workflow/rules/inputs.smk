# Functions of single stages: their input functions, and places in the report.


def searched_weights(wildcards):
    """Input function: the weights that a split's fusion chose, if it is to choose them."""
    fusion = settings(wildcards.dataset, wildcards.experiment).fusion
    return f"{RUN}/weights.json" if fusion.weights == "search" else []


@exit_on_user_error
def table_plan(wildcards):
    """What a table needs; its rows come from `tables` in the configuration."""
    plan = plan_table(configuration, wildcards.table, wildcards.dataset)
    for row in plan["rows"]:
        if row["experiment"]:
            try:
                check_networks(configuration.settings(wildcards.dataset, row["experiment"]))
            except UserError as error:
                raise UserError(
                    f"experiment {row['experiment']}: {error}; or set "
                    f"tables.{wildcards.table}.{row['name']} to null to leave this row empty"
                ) from None
    return plan


def flow_table_plan(wildcards):
    """What the table of flow algorithms needs."""
    return plan_flow_table(configuration, wildcards.dataset)


@exit_on_user_error
def flow_table_scores(wildcards):
    """Input function: the scores of the data sets that the table of flow algorithms compares."""
    return flow_table_inputs(flow_table_plan(wildcards), RESULTS)


def shown(category, caption, title):
    """Put a file into Snakemake's report, under the data set and the experiment it belongs to."""
    return {
        "category": category,
        "subcategory": "{dataset}, {experiment}",
        "caption": f"../report/{caption}.rst",
        "labels": {"what": title},
    }


def all_scores(wildcards):
    """Input function: the scores of all modalities on all splits, split by split."""
    splits = settings(wildcards.dataset).dataset.splits
    return scores_of(
        wildcards, splits, settings(wildcards.dataset, wildcards.experiment).modalities
    )


def all_logs(wildcards):
    """Input function: the logs of the trainings, in the order of the scores."""
    dataset, experiment = wildcards.dataset, wildcards.experiment
    return [
        f"{RUN}/{{modality}}/training.csv".format(
            dataset=dataset,
            experiment=configuration.trained_by(dataset, experiment, modality),
            split=split,
            modality=modality,
        )
        for split in settings(dataset).dataset.splits
        for modality in settings(dataset, experiment).modalities
    ]
