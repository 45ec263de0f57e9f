"""The chain in Luigi: one task per step, with one LocalTarget each."""

import json

import luigi

from peers.workloads.chain import add_one


class Step(luigi.Task):
    """Step `index` of the chain."""

    index = luigi.IntParameter()

    def requires(self) -> list["Step"]:
        """Return the previous step."""
        return [Step(index=self.index - 1)] if self.index else []

    def output(self) -> luigi.LocalTarget:
        """Return the file of the step."""
        return luigi.LocalTarget(f"n{self.index}.json")

    def run(self) -> None:
        """Read the numbers of the previous step, add 1, and write them."""
        before = None
        if self.index:
            with self.input()[0].open() as file:
                before = json.load(file)
        numbers = add_one(self.index, before)
        with self.output().open("w") as file:
            json.dump(numbers, file)
