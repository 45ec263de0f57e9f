"""Descriptions of the tools, one module each."""

from peers.tools import (
    dagster,
    dvc,
    filmgate,
    hamilton,
    kedro,
    luigi,
    metaflow,
    plain,
    prefect,
    snakemake,
)

ALL = (
    plain.PEER,
    filmgate.PEER,
    filmgate.REPAIR,
    luigi.PEER,
    kedro.PEER,
    hamilton.PEER,
    dvc.PEER,
    dagster.PEER,
    metaflow.PEER,
    prefect.PEER,
    snakemake.PEER,
)
