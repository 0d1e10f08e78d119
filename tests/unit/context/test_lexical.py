import pytest

from massgen_core.context import LexicalIndex, terms_of

PORT = {"port": 1.0}


def index_of(*texts):
    index = LexicalIndex()
    for number, text in enumerate(texts):
        index.add(number, text)
    return index


def best(index, query):
    scores = index.search(dict.fromkeys(terms_of(query), 1.0))
    return sorted(scores, key=lambda number: -scores[number])


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Read the files", ["file", "read"]),
        ("getUserName", ["get", "getusername", "name", "user"]),
        ("MAX_RETRY_COUNT=3", ["count", "max", "max_retry_count", "retry"]),
        ("src/app.py", ["app", "py", "src", "src/app.py"]),
        ("HTTPServer", ["http", "httpserver", "server"]),
        ("a b I", []),
        ("status class bus", ["bus", "class", "status"]),
        ("error 48213", ["48213", "error"]),
        ("Größe café", ["café", "größe"]),
        ("数据库迁移", ["库迁", "据库", "数据", "迁移"]),
        ("港", ["港"]),
        ("Zm9v" * 64, []),
        ("", []),
    ],
)
def test_terms_are_words_and_identifiers_whole_and_in_pieces(text, terms):
    assert terms == sorted(terms_of(text))


def test_terms_are_counted():
    assert 3 == terms_of("Port, port and PORTS")["port"]


def test_the_text_that_shares_the_rarer_terms_is_first():
    index = index_of(
        "the build of the service",
        "the service listens on port 6543",
        "the service is slow",
        "the build is green",
    )
    assert [1, 0, 2] == best(index, "Which port has the service?")


def test_a_query_finds_an_identifier_by_a_piece_of_it():
    assert [1] == best(index_of("nothing here", "def retry_count(): ..."), "the retry?")


def test_of_equal_matches_the_shorter_text_is_first():
    index = index_of("port " + "noise " * 50, "port", "other")
    assert [1, 0] == best(index, "port")


def test_a_score_is_about_one_for_a_text_with_every_term():
    index = index_of("red green blue", "red cat dog", "fish bird ant")
    scores = index.search({"red": 1.0, "green": 1.0, "blue": 1.0})
    assert scores[0] == pytest.approx(1.0, abs=0.05)
    assert 0 < scores[1] < 0.4
    assert 2 not in scores


def test_terms_that_nobody_has_lower_the_score():
    index = index_of("port", "lunch")
    assert index.search(PORT | {"flurbo": 1.0})[0] < index.search(PORT)[0]


def test_a_query_without_known_terms_finds_nothing():
    assert {} == index_of("port").search({"flurbo": 1.0})
    assert {} == index_of("port").search({})
    assert {} == LexicalIndex().search(PORT)


def test_what_is_added_later_is_found_and_a_changed_text_replaces_the_old_one():
    index = index_of("port", "lunch")
    index.add(2, "port")
    assert {0, 2} == index.search(PORT).keys()
    index.add(0, "dinner")
    assert {2} == index.search(PORT).keys()
    assert 3 == len(index)
    assert 0 in index
    fresh = index_of("dinner", "lunch", "port")
    assert fresh.search(PORT) == index.search(PORT)
    assert fresh.weight("port") == index.weight("port")


def test_a_common_term_tells_less_than_a_rare_one():
    index = index_of("port one", "port two", "port three")
    assert index.weight("port") < index.weight("one")
    assert (3, 1, 0) == tuple(index.frequency(term) for term in ("port", "one", "nine"))
