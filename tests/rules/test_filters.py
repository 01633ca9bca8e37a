"""The filter language: what is written is what is meant, and a slip is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadInput
from engine.rules import filters
from engine.rules.filters import AUDIT, OUTBOX, Dialect, Filter, Kind, Term

word = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[chr(c) for c in range(32)]), min_size=1, max_size=12
)
phrase = st.text(st.sampled_from('ab "\\,:-=>#é\t\n<'), min_size=1, max_size=8) | word


def terms_of(dialect: Dialect) -> st.SearchStrategy[Term]:
    def of_field(name: str) -> st.SearchStrategy[Term]:
        field = dialect[name]
        number = st.integers(0, 10**12)
        if name == "text":
            return st.builds(Term, st.just("text"), st.just(":"), st.tuples(phrase), st.booleans())
        if field.kind is Kind.WORDS:
            choice = st.sampled_from(field.choices) if field.choices else phrase
            return _term(name, st.just(":"), st.lists(choice, min_size=1, max_size=3).map(tuple))
        if field.kind is Kind.ID:
            return _term(name, st.just(":"), st.lists(number.map(str), min_size=1, max_size=3).map(tuple))
        if field.kind is Kind.SINCE:
            return _term(name, st.just(">="), number)
        ops = [">", ">=", "<", "<="] + (["="] if field.kind is not Kind.DURATION else [])
        return _term(name, st.sampled_from(ops), number)

    return st.sampled_from(sorted(dialect)).flatmap(of_field)


def _term(name: str, op: st.SearchStrategy[str], value: st.SearchStrategy[object]) -> st.SearchStrategy[Term]:
    return st.builds(Term, st.just(name), op, value, st.booleans())


def one(text: str, dialect: Dialect = OUTBOX) -> Term:
    (term,) = filters.parse(text, dialect)
    return term


@given(st.lists(terms_of(OUTBOX), max_size=8).map(tuple))
def test_what_is_formatted_parses_to_the_same_outbox_filter(terms: Filter) -> None:
    assert filters.parse(filters.format(terms)) == terms


@given(st.lists(terms_of(AUDIT), max_size=8).map(tuple))
def test_what_is_formatted_parses_to_the_same_audit_filter(terms: Filter) -> None:
    assert filters.parse(filters.format(terms), AUDIT) == terms


@given(st.text(st.sampled_from('-:"\\ ,<>=#abestgkid019h\n\x00\ud800é') | st.characters(), max_size=60))
def test_any_text_parses_or_is_refused_in_one_line(text: str) -> None:
    for dialect in (OUTBOX, AUDIT):
        refusal = ""
        try:
            terms = filters.parse(text, dialect)
        except BadInput as error:
            terms, refusal = (), str(error)
        assert refusal.isprintable()
        assert filters.parse(filters.format(terms), dialect) == terms


def test_the_example_of_the_contract() -> None:
    text = (
        "state:dead channel:email target:ops template:x tag:nightly key:cron-1 error:timeout"
        ' age>2h attempts>=3 priority:high "free text"'
    )
    assert filters.parse(text) == (
        Term("state", ":", ("dead",)),
        Term("channel", ":", ("email",)),
        Term("target", ":", ("ops",)),
        Term("template", ":", ("x",)),
        Term("tag", ":", ("nightly",)),
        Term("key", ":", ("cron-1",)),
        Term("error", ":", ("timeout",)),
        Term("age", ">", 7_200_000),
        Term("attempts", ">=", 3),
        Term("priority", ":", ("high",)),
        Term("text", ":", ("free text",)),
    )
    assert filters.format(filters.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("STATE:Dead,UNCERTAIN", Term("state", ":", ("dead", "uncertain"))),
        ("-channel:email", Term("channel", ":", ("email",), negated=True)),
        ("-oops", Term("text", ":", ("oops",), negated=True)),
        ('-"a b"', Term("text", ":", ("a b",), negated=True)),
        ('tag:"a b",c,"d,e"', Term("tag", ":", ("a b", "c", "d,e"))),
        (r'"a \"b\" \\ \n"', Term("text", ":", ('a "b" \\ \\n',))),
        ("id:#1042,7", Term("id", ":", ("1042", "7"))),
        ("uid:msg_1", Term("uid", ":", ("msg_1",))),
        ("size>1m", Term("size", ">", 1_048_576)),
        ("due<10m", Term("due", "<", 600_000)),
        ("attempts=0", Term("attempts", "=", 0)),
        ("attempts:3", Term("attempts", "=", 3)),
        ("target=me", Term("target", ":", ("me",))),
        ("target:mailto:a@example.org", Term("target", ":", ("mailto:a@example.org",))),
        ("12:30", Term("text", ":", ("12:30",))),
        ("a-b", Term("text", ":", ("a-b",))),
        ("key:-x", Term("key", ":", ("-x",))),
    ],
)
def test_outbox_terms(text: str, term: Term) -> None:
    assert one(text) == term


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("action:outbox.retry", Term("action", ":", ("outbox.retry",))),
        ("subject:ops", Term("subject", ":", ("ops",))),
        ("seq>100", Term("seq", ">", 100)),
        ("since:24h", Term("age", "<=", 86_400_000)),
        ("since:1970-01-02", Term("since", ">=", 86_400_000)),
        ("since:1970-01-01T00:00:01.500Z", Term("since", ">=", 1_500)),
        ("since:1970-01-01T01:00:00+01:00", Term("since", ">=", 0)),
        ("since:1969-12-31T23:59:59Z", Term("since", ">=", -1_000)),
    ],
)
def test_audit_terms(text: str, term: Term) -> None:
    assert one(text, AUDIT) == term


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stat:dead", "column 1, stat:dead: unknown field stat; did you mean state?"),
        ("foo  targt:me", "column 6, targt:me: unknown field targt; did you mean target?"),
        ("https://x.org", "column 1, https://x.org: unknown field https; fields are state, channel"),
        ("state:ded", "unknown state 'ded'; did you mean dead?"),
        ("state:dead,heldd", "did you mean held?"),
        ("priority:top", "use one of low, normal, high, urgent"),
        ("state>dead", "state cannot be compared; write state:WORD"),
        ("age=2h", "age needs > or <; write age>2h or age<30m"),
        ("age:2h", "age needs > or <"),
        ("age>2x", "'2x' is not a duration; write it like"),
        ("age>2h,3h", "age takes one value"),
        ("attempts>=x", "'x' is not a number"),
        ("attempts>=-1", "'-1' is not a number"),
        ("size>1q", "'1q' is not a size"),
        ("id:msg_1", "uid: for a uid"),
        ("state:", "a value is missing"),
        ("state:dead,", "a value is missing"),
        ("state:,dead", "a value is missing"),
        ("-", "nothing stands after the '-'"),
        ("--x", "nothing stands after the '-'"),
        ('"open', 'the closing " is missing'),
        ('""', "nothing stands between the quotes"),
        ('"a"b', "a space is missing after the quotes"),
        ("a\x00b", "unexpected here"),
        ('"a\x1bb"', "control characters"),
        ("\ud800", "not a Unicode character"),
        ("x" * 2_001, "longer than 2000 characters"),
        ("x " * 51, "more than 50 conditions"),
    ],
)
def test_a_slip_is_named_with_its_place(text: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        filters.parse(text)
    assert words in str(caught.value)
    assert str(caught.value).startswith("filter")


@pytest.mark.parametrize("text", ["since:soon", "since>2h", "since:2026-13-01", "state:dead", "seq:x"])
def test_an_audit_slip_is_named(text: str) -> None:
    with pytest.raises(BadInput, match="filter, column 1, "):
        filters.parse(text, AUDIT)


def test_an_empty_filter_has_no_terms() -> None:
    assert filters.parse("  \n ") == ()
    assert filters.format(()) == ""


VALUES = {"target": ["me", "ops", "my flow"], "state": ["nonsense"]}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("sta", ["state:"]),
        ("-sta", ["-state:"]),
        ("at", ["attempts>="]),
        ("state:d", ["state:delivered", "state:dead"]),
        ("state:dead,d", ["state:dead,delivered"]),
        ("x target:m", ["target:me", 'target:"my flow"']),
        ('target:"my f', ['target:"my flow"']),
        ("target:me,", ["target:me,ops", 'target:me,"my flow"']),
        ("TARGET:O", ["TARGET:ops"]),
        ("priority:", ["priority:low", "priority:normal", "priority:high", "priority:urgent"]),
        ("age>2", []),
        ("nofield:x", []),
        ("tag:x", []),
    ],
)
def test_completion(text: str, wanted: list[str]) -> None:
    assert filters.complete(text, len(text), VALUES) == wanted


def test_completion_looks_only_at_the_term_under_the_cursor() -> None:
    text = "state:d channel:email"
    assert filters.complete(text, 7, {}) == ["state:delivered", "state:dead"]
    assert filters.word_start(text, 7) == 0
    assert filters.word_start(text, 12) == 8
    assert filters.word_start('"a b" c', 4) == 0


def test_an_empty_word_completes_to_every_field() -> None:
    assert filters.complete("", 0, {}, AUDIT) == ["action:", "actor:", "subject:", "risk:", "seq>=", "since:", "age>"]


@given(st.text(st.sampled_from('state:dk ",-\\x>='), max_size=20), st.integers(0, 25))
def test_completion_never_fails_and_its_first_words_parse(text: str, cursor: int) -> None:
    for suggestion in filters.complete(text, cursor, VALUES):
        assert isinstance(suggestion, str)
    assert 0 <= filters.word_start(text, cursor) <= len(text)


@given(terms_of(OUTBOX))
def test_words_and_number_are_the_two_sides_of_a_value(term: Term) -> None:
    if term.words:
        with pytest.raises(TypeError):
            _ = term.number
    else:
        assert term.number == term.value
