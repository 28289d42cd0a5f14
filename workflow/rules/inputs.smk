# Functions of single stages: their input functions, and places in the report.


def searched_weights(wildcards):
    """Input function: the weights that a split's fusion chose, if it is to choose them."""
    fusion = settings(wildcards.dataset, wildcards.experiment).fusion
    return f"{RUN}/weights.json" if fusion.weights == "search" else []


def calibration_scores(wildcards):
    """Input function: the scores of held-out videos, if a split's fusion is to be calibrated."""
    known = settings(wildcards.dataset, wildcards.experiment)
    if not known.fusion.calibrate:
        return []
    return run_files(wildcards, [wildcards.split], known.modalities, "held_out.h5")


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


def all_scores(wildcards, name="scores.h5", owner_of=configuration.scored_by):
    """Input function: the scores of all modalities on all splits, split by split."""
    known = settings(wildcards.dataset, wildcards.experiment)
    return run_files(wildcards, known.dataset.splits, known.modalities, name, owner_of)


def all_logs(wildcards):
    """Input function: the logs of the trainings, in the order of the scores."""
    return all_scores(wildcards, name="training.csv", owner_of=configuration.trained_by)


def saliency_of_clips(wildcards):
    """Input function: where the networks look in the clips, if the report is to show it. The clips
    are of the first split."""
    known = settings(wildcards.dataset, wildcards.experiment)
    if not known.report.saliency or known.fusion.experiments:
        return []
    return f"{RUN}/saliency".format(**wildcards, split=known.dataset.splits[0])
