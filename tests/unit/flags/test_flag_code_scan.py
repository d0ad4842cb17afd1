import pytest

from greenlane.flags.lifecycle.code_scan import Use, scan


@pytest.fixture
def found(tmp_path):
    def found(files, known=()):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return scan(tmp_path, known)

    return found


def keys(result):
    return [(use.key, use.line) for use in result.uses if not use.mention]


@pytest.mark.parametrize(
    "code",
    [
        '@feature_flag("a")\ndef f(): ...',
        '@flags.feature_flag("a", default_behavior=g)\nasync def f(): ...',
        'feature_flag(feature_name="a")',
        'manager.is_feature_enabled("a", {})',
        'if self.flags.is_feature_enabled(feature_name="a"): ...',
        'client.get_boolean_value("a", False)',
        'client.get_string_details(flag_key="a", default_value="")',
        'await client.get_object_value_async("a", {})',
        'get_client().get_integer_value("a", 1)',
        'manager.update_flag("a", {})',
        'KEY = "a"; is_feature_enabled(KEY)',
        'KEY: Final = "a"; is_feature_enabled(KEY)',
        'class Flags:\n    A = "a"\nis_feature_enabled(Flags.A)',
        'class Flags(StrEnum):\n    A = "a"\nis_feature_enabled(Flags.A.value)',
        'is_feature_enabled("a" if x else "a")',
    ],
)
def test_each_way_of_asking_in_python_is_a_use(found, code):
    result = found({"x.py": code})
    assert {key for key, _ in keys(result)} == {"a"}
    assert result.unclear == ()


@pytest.mark.parametrize(
    "code",
    ["from app.names import A", "from ..app.names import A", "from .names import A as A"],
)
def test_a_constant_of_another_file_is_followed(found, code):
    folder = "other" if ".." in code else "app"
    result = found(
        {"src/app/names.py": 'A = "a"', f"src/{folder}/x.py": f"{code}\nis_feature_enabled(A)"}
    )
    assert keys(result) == [("a", 2)]


@pytest.mark.parametrize(
    ("imported", "name"),
    [
        ("from app import names", "names.Flags.A"),
        ("import app.names", "app.names.Flags.A"),
        ("import app.names as n", "n.Flags.A.value"),
        ("from app.names import Flags as F", "F.A"),
    ],
)
def test_a_constant_of_a_class_in_another_file_is_followed(found, imported, name):
    names = 'class Flags:\n    A = "a"\n'
    result = found({"app/names.py": names, "x.py": f"{imported}\nis_feature_enabled({name})"})
    assert keys(result) == [("a", 2)]


def test_a_key_that_is_made_at_run_time_is_told_or_known_by_its_beginning(found):
    result = found({"x.py": 'is_feature_enabled(name)\nis_feature_enabled(f"exp_{n}")'})
    assert result.unclear == ("x.py:1: the key of is_feature_enabled is made at run time",)
    assert result.of("exp_7") == [Use("exp_", "x.py", 2, prefix=True)]
    assert result.of("other") == []


def test_a_call_that_only_sounds_alike_and_a_comment_are_no_uses(found):
    code = '# is_feature_enabled("a")\nget_value("b", 1)\nsome.getter("c")\nx = "d"\n'
    assert found({"x.py": code}).uses == ()


def test_a_key_in_quotes_is_a_mention_of_a_flag_that_is_known(found):
    result = found({"x.py": 'FLAGS = ["a", "b"]', "y.rb": "on?('a')"}, known=["a"])
    assert result.uses == (
        Use("a", "x.py", 1, mention=True),
        Use("a", "y.rb", 1, mention=True),
    )


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("x.ts", "const on = await client.getBooleanValue('a', false);"),
        ("x.tsx", "const { value } = useBooleanFlagDetails(`a`, false)"),
        ("x.js", 'client.getObjectValue<T>("a", {})'),
        ("x.java", 'client.getStringDetails("a", "x")'),
        ("x.go", 'client.BooleanValue(ctx, "a", false, evalCtx)'),
        ("x.cs", 'await client.GetBooleanValueAsync("a", false)'),
    ],
)
def test_openfeatures_getters_of_other_languages_are_uses(found, file, code):
    assert keys(found({file: f"\n{code}"})) == [("a", 2)]


def test_dependencies_builds_and_hidden_folders_are_left_out(found):
    code = 'is_feature_enabled("a")'
    folders = ("node_modules", ".venv", "build", ".hidden", "src/__pycache__")
    result = found({f"{folder}/x.py": code for folder in folders})
    assert (result.uses, result.files) == ((), 0)


def test_python_of_another_version_is_searched_as_text_and_told(found):
    result = found({"x.py": 'print "a"'}, known=["a"])
    assert result.uses == (Use("a", "x.py", 1, mention=True),)
    assert "not Python of this version" in result.unclear[0]


def test_one_file_can_be_looked_through_and_a_missing_folder_is_an_error(tmp_path):
    path = tmp_path / "x.py"
    path.write_text('is_feature_enabled("a")')
    assert keys(scan(path)) == [("a", 1)]
    with pytest.raises(FileNotFoundError):
        scan(tmp_path / "none")


def test_what_is_no_utf_8_or_no_text_is_no_crash(tmp_path):
    (tmp_path / "x.py").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "y.js").write_bytes(b"\xff'a'\x00")
    assert [use.file for use in scan(tmp_path, ["a"]).uses] == ["y.js"]
