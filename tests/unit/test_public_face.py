"""The names that others may use."""

import subprocess
import sys

import filmgate


def test_every_public_name_is_there_and_comes_from_one_place() -> None:
    homes = [name for names in filmgate._HOMES.values() for name in names]
    assert sorted(homes) == sorted(filmgate.__all__)
    for name in filmgate.__all__:
        assert getattr(filmgate, name).__module__.startswith("filmgate.core") or name == "Outcome"


def test_importing_the_package_loads_nothing_else() -> None:
    code = "import sys; import filmgate; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_importing_the_engine_loads_no_third_party_package_but_pydantic() -> None:
    code = """if True:
        import sys
        import annotated_types, pydantic, typing_extensions
        from importlib.metadata import packages_distributions
        before = set(sys.modules)
        import filmgate.engine.runner
        new = {name.partition('.')[0] for name in set(sys.modules) - before}
        third = set(packages_distributions()) - {'filmgate', 'pydantic', 'pydantic_core'}
        print(sorted(new & third))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_importing_the_engine_loads_nothing_of_a_pipeline_and_builds_no_validator() -> None:
    code = """if True:
        import sys
        import filmgate.engine.runner
        from pydantic import BaseModel
        mine = {name: held for name, held in sys.modules.items() if name.startswith('filmgate')}
        print(sorted({'.'.join(name.split('.')[:2]) for name in mine}))
        print([name for name in mine if any(each in name for each in ('book', 'corpus', 'screen'))])
        models = [
            held
            for module in mine.values()
            for held in vars(module).values()
            if isinstance(held, type) and issubclass(held, BaseModel) and held is not BaseModel
        ]
        built = sorted({each.__name__ for each in models if each.__pydantic_complete__})
        print(len(models) > 20, built)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "['filmgate', 'filmgate.core', 'filmgate.engine']",
        "[]",
        "True []",
    ]
