"""What every rule has."""

import re
from pathlib import Path

WORKFLOW = Path(__file__).parents[2] / "workflow"


def rules() -> dict[str, str]:
    """Name -> source."""
    found = {}
    for path in WORKFLOW.glob("rules/*.smk"):
        for source in re.split(r"^(?=rule )", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
            found[source[5 : source.index(":")]] = source
    return found


def test_every_rule_says_what_it_does_and_what_it_needs():
    assert len(rules()) > 15
    for name, source in rules().items():
        assert re.match(r'rule \w+:\n    """[A-Z].*\."""\n', source), name
        for directive in ("output", "log", "conda", "threads"):
            assert f"\n    {directive}:" in source, f"{name}: {directive}"


def test_every_script_belongs_to_the_rule_of_its_name():
    scripts = {path.stem for path in WORKFLOW.glob("scripts/*.py")}
    used = {name for name, source in rules().items() if f'"../scripts/{name}.py"' in source}
    assert used == scripts
