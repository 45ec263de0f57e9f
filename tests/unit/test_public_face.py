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
