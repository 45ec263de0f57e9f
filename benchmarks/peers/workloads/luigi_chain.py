"""The chain in Luigi: a task a step, a LocalTarget a task."""

import json

import luigi

from peers.workloads.chain import add_one


class Step(luigi.Task):
    """Step `index` of the chain."""

    index = luigi.IntParameter()

    def requires(self) -> list["Step"]:
        """The step before."""
        return [Step(index=self.index - 1)] if self.index else []

    def output(self) -> luigi.LocalTarget:
        """The step's file."""
        return luigi.LocalTarget(f"n{self.index}.json")

    def run(self) -> None:
        """Read, add, write."""
        before = None
        if self.index:
            with self.input()[0].open() as file:
                before = json.load(file)
        numbers = add_one(self.index, before)
        with self.output().open("w") as file:
            json.dump(numbers, file)
