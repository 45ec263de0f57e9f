"""The pipelines, one folder each: a plan, and stages that do not depend on the engine."""
