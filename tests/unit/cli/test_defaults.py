"""Options from files and variables: how they are read, and which of them hold."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.conftest import Told
from s3pp.args import configured, verbs
from s3pp.args.configuration import Sources, configuration_fields
from s3pp.args.defaults import Defaults
from s3pp.args.option_names import NamedOption, named_options
from s3pp.args.trust import distrust
from s3pp.errors import UsageError
from s3pp.job import Job

PUT = ("src", "s3://bkt/p")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty directory the working directory, and another the home."""
    home = tmp_path / "home"
    (home / ".config" / "s3pp").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name in (name for name in os.environ if name.startswith("S3PP_")):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return home


def write(text: str, path: str = "s3pp.toml") -> None:
    Path(path).write_text(text)
    Path(path).chmod(0o600)


def build(verb: str, *words: str, **environ: str) -> Job:
    return configured.build_configured(verb, words, {"HOME": os.environ["HOME"], **environ}).job


def fault(verb: str, *words: str, **environ: str) -> str:
    with pytest.raises(UsageError) as raised:
        build(verb, *words, **environ)
    return str(raised.value)


FILES = """
concurrency = 3
[put]
concurrency = 4
[preset.night]
concurrency = 5
[preset.night.put]
concurrency = 6
"""


def test_the_nearest_place_wins(home: Path) -> None:
    """Each step leaves out the nearest place of the one before."""
    write(FILES)
    user = home / ".config/s3pp/config.toml"
    write(FILES.replace("3", "13").replace("6", "16"), str(user))
    preset = ("--preset", "night")
    assert build("put", "-c8", *preset, *PUT, S3PP_CONCURRENCY="7").speed.concurrency == 8
    assert build("put", *preset, *PUT, S3PP_CONCURRENCY="7").speed.concurrency == 7
    assert build("put", *PUT, S3PP_PRESET="night").speed.concurrency == 6
    assert build("get", *preset, "s3://bkt", "d").speed.concurrency == 5
    assert build("put", *PUT).speed.concurrency == 4
    assert build("get", "s3://bkt", "d").speed.concurrency == 3
    assert build("put", "--config", str(user), *preset, *PUT).speed.concurrency == 16
    Path("s3pp.toml").unlink()
    assert build("get", "s3://bkt", "d").speed.concurrency == 13
    for ignoring in ({"S3PP_NO_CONFIG": "1"}, {"HOME": "nowhere"}):
        assert build("get", "s3://bkt", "d", **ignoring).speed.concurrency == 512
    assert build("get", "--no-config", "s3://bkt", "d", S3PP_MODE="add") == verbs.build_job(
        "get", ["s3://bkt", "d"]
    )
    config = {"XDG_CONFIG_HOME": str(home / ".config"), "HOME": "/nowhere"}
    assert build("get", "s3://bkt", "d", **config).speed.concurrency == 13
    assert build("get", *preset, "s3://bkt", "d", S3PP_NO_CONFIG="1").speed.concurrency == 5


# Of each function that reads the value of an option: a text that it takes.
SAMPLES = {
    "whole": "3", "max_delete": "10%", "size": "10k", "part_size": "8MiB", "max_bandwidth": "10M",
    "max_requests": "100", "seconds": "2.5", "lock_wait": "forever", "moment": "2026-11-20",
    "path": "/a", "mode": "update", "compare": "size", "include": "*.jpg", "exclude": "*.tmp",
    "header": "Cache-Control:no-cache", "metadata": "k=v", "tag": "k=v",
    "grant": "READ:id", "content_type": "text/plain", "gzip_type": "all", "gzip_suffix": ".gz",
    "endpoint": "https://s3.example.org", "token": "eu-west-1", "visible": "x", "delimiter": "|",
    "shard": "2/4", "dask_address": "tls://scheduler:8786",
}  # fmt: skip


def sample(option: NamedOption) -> str:
    value = option.option.value
    assert value is not None
    return str(value.bounds[0]) if value.reader == "one_of" else SAMPLES[value.reader]


def in_file(option: NamedOption) -> str:
    if option.option.value is None:
        return f"{option.name} = true"
    return f"{option.name} = {json.dumps([sample(option)] if option.repeated else sample(option))}"


def in_variable(option: NamedOption) -> dict[str, str]:
    text = "1" if option.option.value is None else sample(option)
    return {"S3PP_" + option.name.upper().replace("-", "_"): text}


def on_command_line(option: NamedOption) -> str:
    flag = f"--{option.name}"
    return flag if option.option.value is None else f"{flag}={sample(option)}"


OPTIONS = [each for name, each in named_options().items() if name not in ("all", "buckets")]


def parsed(option: NamedOption) -> Any:
    verb = min(option.verbs)
    _, given = verbs.parser(verb).parse([on_command_line(option)])
    return given[option.path]


def test_each_option_means_in_a_file_and_a_variable_what_it_means_on_a_command_line() -> None:
    for option in OPTIONS:
        write(in_file(option))
        verb = next(each for each in verbs.VERBS if each in option.verbs)
        found = Defaults(build_sources(), 0.0).of(verb)[option.path].value
        sources = Sources((), in_variable(option), None)
        assert Defaults(sources, 0.0).of(verb)[option.path].value == found, option.name
        if not option.inverted:
            assert found == parsed(option), option.name
        else:
            assert found is (not option.option.sets), option.name


def build_sources() -> Sources:
    from s3pp.args.configuration import ConfigOptions, find_sources

    return find_sources(ConfigOptions(), os.environ)


LINES: list[tuple[str, Sequence[str]]] = [
    ("put", PUT),
    ("put", ("-", "s3://bkt/k")),
    ("put", ("--sandbox", *PUT)),
    ("put", ("--walk=tar", "a.tar", "s3://bkt")),
    ("put", ("--mode=add", *PUT)),
    ("put", ("--mode=stupid", *PUT)),
    ("put", ("--compare=size", *PUT)),
    ("get", ("s3://bkt/p", "d")),
    ("get", ("s3://bkt/k", "-")),
    ("get", ("--gzip-suffix=.gz", "s3://bkt/p", "d")),
    ("copy", ("s3://bkt/p", "s3://other")),
    ("copy", ("--sandbox", "s3://bkt/p", "s3://other")),
    ("move", PUT),
    ("move", ("s3://bkt/p/", "d")),
    ("move", ("s3://bkt/p/", "s3://bkt/q/")),
    ("remove", ("s3://bkt/p/",)),
    ("verify", ("journal",)),
    ("verify", PUT),
    ("verify", ("--deep", "s3://bkt", "d")),
    ("verify", ("s3://bkt", "s3://other")),
    ("apply", ("plan",)),
    ("list", ("s3://bkt",)),
    ("clean", ("--no-verify-ssl", "s3://bkt")),
]
# What the user has to decide: deletion, and what a plan is made of.
DECIDED = {"delete", "plan", "rules"}


def test_no_default_keeps_a_command_line_from_running_that_runs_without_it() -> None:
    for verb, words in LINES:
        of_others: dict[str, str] = {}  # of options that the verb has not: left out one and all
        for option in (each for each in OPTIONS if each.name not in DECIDED):
            if verb in option.verbs:
                build(verb, *words, **in_variable(option))
            else:
                of_others |= in_variable(option)
        build(verb, *words, **of_others)


def test_what_the_command_line_contradicts_is_left_out_and_what_it_does_not_is_kept() -> None:
    write('max-delete = "10%"\nlock-wait = 5\nprofile = "p"\nverbose = 2\ngzip-type = "all"\n')
    alone = build("put", *PUT)
    assert (alone.deletion.most, alone.locking.wait, alone.access.profile) == (None, 0, "p")
    mirror = build("put", "--delete", "--lock=auto", "--gzip", *PUT)
    assert (str(mirror.deletion.most), mirror.locking.wait) == ("10%", 5)
    assert mirror.objects.gzip_types == frozenset({"all"})
    assert build("put", "-q", *PUT).output.verbosity == -1
    assert build("put", "--sandbox", *PUT).access.profile is None
    assert str(build("remove", "s3://bkt/p").deletion.most) == "10%"
    write('exclude = "*.tmp"\nfiles-from = "f"\ndelimiter = "/"\nlimit = 9\nmin-size = 1')
    buckets = build("list", "--buckets")
    assert (buckets.choosing.limit, buckets.listing.delimiter) == (9, None)
    level = build("list", "--delimiter=|", "s3://bkt")
    assert (level.choosing.files_from, level.choosing.min_size) == (None, 1)


def test_options_are_taken_back_and_lists_are_replaced() -> None:
    write(
        'gzip = true\nresume = false\nexclude = ["*.tmp"]\njournal = "j"\nquiet = 2\n'
        'lock = "auto"\ninclude = "*.x"\nplan = "p"'
    )
    job = build("put", *PUT)
    assert job.choosing.rules == (("exclude", "*.tmp"), ("include", "*.x"))
    assert (job.parts.resume, job.output.journal, job.locking.lock) == (False, "j", "auto")
    assert job.output.verbosity == -2
    taken = ("--no-gzip", "--resume", "--no-exclude", "--no-journal", "--no-quiet", "--no-lock")
    assert build("put", *taken, "--no-plan", *PUT) == verbs.build_job("put", PUT)
    assert build("put", "--exclude=a", *PUT).choosing.rules == (("exclude", "a"),)
    assert build("put", "--no-plan", "--plan=q", *PUT).plan == "q"
    for words, why in (
        (["--no-frob"], "--no-frob is not an option of it"),
        (["--no-help"], "--no-help is not an option of it"),
        (["--exclud"], "did you mean --exclude?"),
        (["--no-no-resume"], "--no-no-resume is not an option"),
        (["--lim"], "--lim is not an option of it"),
        (["--no-gzip=x"], "--no-gzip takes no value"),
        (["--no-config", "--config=x"], "--no-config and --config contradict each other"),
    ):
        assert why in fault("put", *words, *PUT)


def test_an_error_says_where_the_options_of_its_text_are_set() -> None:
    write("[put]\ngzip = true\n")
    text = fault("put", *PUT, S3PP_COMPARE="size")
    assert text.endswith("(--compare is set by S3PP_COMPARE; --gzip is set by s3pp.toml, line 2)")
    assert fault("put", "--retry-from=j", *PUT, S3PP_DELETE="1").endswith(
        "drop one of them (--delete is set by S3PP_DELETE)"
    )


def test_files_are_named_relative_to_the_file_that_names_them(home: Path) -> None:
    write('journal = "j"\nlock = "auto"\nfiles-from = "-"\nlog-file = "~/log"\n', str(home / "c"))
    job = build("put", "--config", str(home / "c"), *PUT)
    assert (job.output.journal, job.locking.lock) == (str(home / "j"), "auto")
    assert (job.choosing.files_from, job.output.log_file) == ("-", str(home / "log"))


FAULTS = [
    ("gzp = true", "s3pp.toml, line 1: 'gzp' is not an option: did you mean gzip?"),
    ("\n\n[put]\nbwlimit=1", "line 4: 'bwlimit' is not an option: use max-bandwidth"),
    ("[pvt]", "line 1: 'pvt' is not a table of options: did you mean put?"),
    ("[zz]", "line 1: 'zz' is not a table of options: name a verb, or preset.NAME"),
    ("[put.get]", "'get' is not a table of options"),
    ("gzip = 1", "line 1: gzip: the value is a number: write true or false"),
    ("quiet = -1", "quiet: the value is a number: write a number from 0 up"),
    ("limit = true", "limit: the value is a boolean: write a string or a number"),
    ("limit = [1]", "limit: the value is an array: write one value"),
    ("exclude = 1979-05-27T07:32:00Z\nexclude2=1", "'exclude2' is not an option"),
    ("tag = {a = 1, 'b=' = 2}", "tag: 'b=' contains '=', which ends a name here"),
    ("limit = 0", "line 1: limit: '0' is not a whole number from 1 up"),
    ("mode = 'some'", "mode: 'some' is unknown; choose from add, stupid, update"),
    ("[get]\ngzip = true", "line 2: gzip is not an option of get, but of put, move, verify"),
    ("[retry]\nquiet=1", "retry has the options of the run in its JOURNAL"),
    ("[remove]\nall = true", "all is not for defaults, as it allows to remove"),
    ("config = 'x'", "config is not for defaults, as it says which defaults are read"),
    ("aws_secret_access_key = 'abcdef'", "is not an option, and credentials are no options"),
    ("resume = true\nno-resume = false", "line 2: no-resume says the same as resume: drop one"),
    ("[[put]]", "line 1: 'put' is a command, whose options are a table: write [put]"),
    ("[profile.x]\nquiet = 1", "'profile' is not a table of options: write [preset.NAME]"),
    ("[presets.x]\nquiet = 1", "'presets' is not a table of options: write [preset.NAME]"),
    ("preset = 'x'", "preset is a string: write [preset.NAME]"),
    ("[preset]\nx = 1", "preset 'x' is a number: write [preset.x]"),
    ("a = \n", "line 1: is not TOML: "),
    ("a = 1\na = 2", "line 2: is not TOML: "),
    ("#" * (1 << 20) + "\n", "s3pp.toml is larger than 1 MiB"),
    ("endpoint-url = 'https://me:pass@host'", "the URL must not contain credentials"),
]


@pytest.mark.parametrize(("text", "why"), FAULTS, ids=[str(n) for n in range(len(FAULTS))])
def test_what_is_wrong_in_a_file_is_said_with_its_line(text: str, why: str) -> None:
    write(text)
    told = fault("list", "s3://bkt")
    assert told.startswith("s3pp.toml")
    assert why in told
    assert "pass@" not in told
    assert "abcdef" not in told


COMMA = ", "
DECLARED = {each.path for each in named_options().values()}
KEYS = [*named_options(), *verbs.VERBS, "preset", "nightly", "é"]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=6,
)


def toml(value: object) -> str:
    """A value as TOML has it; None as a date."""
    if value is None:
        return "1979-05-27"
    if isinstance(value, dict):
        pairs = COMMA.join(f"{json.dumps(key)} = {toml(each)}" for key, each in value.items())
        return f"{{{pairs}}}"
    if isinstance(value, list):
        return f"[{COMMA.join(map(toml, value))}]"
    return str(value) if isinstance(value, float) else json.dumps(value)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4))
def test_whatever_a_file_has_it_is_read_or_refused_in_a_line(content: dict[str, object]) -> None:
    write("".join(f"{json.dumps(key)} = {toml(value)}\n" for key, value in content.items()))
    told = ""
    try:
        defaults = Defaults(build_sources(), 0.0)
    except UsageError as error:
        told = str(error)
    else:
        assert all(path in DECLARED for verb in verbs.VERBS for path in defaults.of(verb))
    assert not told or re.match("s3pp.toml, line [1-4]: ", told)


def test_what_is_wrong_with_a_variable_is_said_and_what_is_anothers_is_left() -> None:
    for name, value, why in (
        ("S3PP_GZIP", "maybe", "S3PP_GZIP: 'maybe' is neither true nor false: write 1 or 0"),
        ("S3PP_MAX_BANDWITH", "1", "did you mean S3PP_MAX_BANDWIDTH?"),
        ("S3PP_SECRET_ACCESS_KEY", "abcdef", "credentials are no options"),
        ("S3PP_ALL", "1", "all is not for defaults"),
        ("S3PP_PRESET", "x", "S3PP_PRESET 'x' is not in any file of options: write a table"),
        ("S3PP_NO_CONFIG", "x", "S3PP_NO_CONFIG: 'x' is neither"),
        ("S3PP_CONFIG", "nowhere", "nowhere cannot be read: No such file or directory: correct"),
    ):
        told = fault("list", "s3://bkt", **{name: value})
        assert why in told
        assert "abcdef" not in told
    kubernetes = {"S3PP_PORT": "tcp://10.0.0.1:80", "S3PP_SERVICE_HOST": "10.0.0.1", "S3PP_C": ""}
    assert build("list", "s3://bkt", **kubernetes) == verbs.build_job("list", ["s3://bkt"])
    lines = build("put", *PUT, S3PP_EXCLUDE="a b\n*.tmp\n").choosing.rules
    assert lines == (("exclude", "a b"), ("exclude", "*.tmp"))


def test_a_file_that_others_could_have_written_is_refused_unless_it_is_named() -> None:
    write("quiet = 1")
    os.chmod("s3pp.toml", 0o602)
    assert "can be written by every user" in fault("list", "s3://bkt")
    assert build("list", "--config=s3pp.toml", "s3://bkt").output.verbosity == -1
    os.chmod("s3pp.toml", 0o644)
    os.rename("s3pp.toml", "a")
    os.mkfifo("s3pp.toml")
    assert "is not a regular file" in fault("list", "s3://bkt")


def test_whom_a_file_belongs_to(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.touch()

    def why(uid: int, gid: int, mode: int) -> str | None:
        return distrust(str(path), os.stat_result((mode, 0, 0, 1, uid, gid, 0, 0, 0, 0)))

    mine, regular = os.geteuid(), 0o100600
    assert why(mine, 0, regular) is None
    assert why(0, 0, regular) is None
    assert "belongs to another user (uid 4321)" in str(why(4321, 0, regular))
    assert "others of its group (gid 987654)" in str(why(mine, 987654, regular | 0o20))
    assert "every user" in str(why(mine, 0, regular | 0o02))
    if mine == 0:
        assert why(0, 0, regular | 0o20) is None  # a group of the owner's own
        os.symlink("f", tmp_path / "link")
        os.lchown(tmp_path / "link", 4321, 0)
        told = distrust(str(tmp_path / "link"), os.stat(path))
        assert "is a link that belongs to another user (uid 4321)" in str(told)


def test_that_a_run_deletes_is_said_unless_the_command_line_has_it() -> None:
    write("[put]\ndelete = true\n")
    environ = {"HOME": os.environ["HOME"]}

    def notices(*words: str) -> tuple[str, ...]:
        return configured.build_configured("put", [*words, *PUT], environ).notices

    assert notices() == ("--delete is set by s3pp.toml, line 2 (--no-delete takes it back)",)
    assert notices("--delete") == notices("-q") == notices("--no-delete") == ()
    assert notices("-v")[1:] == ("options are set by s3pp.toml (s3pp config put shows them)",)


def test_config_shows_what_is_in_force_and_no_secret(
    command: Callable[..., Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    write('limit = 3\n[put]\nheader = ["X-Key: abcdef", "Cache-Control: no-cache"]\n')
    monkeypatch.setenv("S3PP_QUIET", "1")
    monkeypatch.setenv("S3PP_PORT", "x")
    told = command("config")
    assert (told.code, told.err) == (0, "")
    assert told.out.splitlines()[:3] == [
        "read: s3pp.toml",
        f"not found: {os.environ['HOME']}/.config/s3pp/config.toml",
        "variables of no option: S3PP_PORT",
    ]
    rows = [re.split("  +", line) for line in told.out.splitlines()[3:]]
    shown = '["X-Key:(withheld)","Cache-Control:no-cache"]'.replace(",", ", ")
    assert ["header", shown, "s3pp.toml, line 3", "put"] in rows
    assert [
        "quiet",
        "1",
        "S3PP_QUIET",
        "put get copy move remove verify apply list du clean",
    ] in rows
    of_put = command("config", "put").out
    assert re.search("^limit +3 +s3pp.toml, line 1$", of_put, re.MULTILINE)
    assert re.search('^mode +"update" +default$', of_put, re.MULTILINE)
    events = [json.loads(line) for line in command("config", "--json", "list").out.splitlines()]
    assert {"event": "file", "path": "s3pp.toml", "read": True} in events
    limit = {"event": "option", "option": "limit", "value": 3, "source": "file"}
    assert {**limit, "path": "s3pp.toml", "line": 1, "verbs": ["list"]} in events
    assert command("config", "--no-config").out == "no option is set\n"
    for words in (["retry"], ["frob"], ["put", "x"], ["--preset=x"], ["--frob"]):
        told = command("config", *words)
        assert (told.code, told.out, told.err.count("\n")) == (2, "", 1)


def test_the_options_about_configuration_are_no_defaults_and_no_keywords() -> None:
    for path in configuration_fields():
        assert not {each for each in OPTIONS if each.path == path}


def test_calls_and_the_older_tools_commands_read_no_files_of_options() -> None:
    package = Path(configured.__file__).parents[1]
    readers = re.compile(r"s3pp\.args(\.| import )(configured|defaults|precedence)")
    found = {path.parent.name for path in package.rglob("*.py") if readers.search(path.read_text())}
    assert found == {"args", "cli"}
